"""Files of pages that harm whoever opens them, made in code, and what may come of each page."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image

from tests.crnn import poison
from tests.crnn.pages.drawn import encrypted_pdf, in_file, pdf, two_columns

OPENED = ""
"""Instead of an error code: the page could be opened, whatever is on it."""
BROKEN, HEAVY = frozenset({"undecodable"}), frozenset(poison.HEAVY)
FINE = frozenset({OPENED})
Codes = Mapping[int | None, frozenset[str]]
MOST_PAGES, DPI = 50, 72
"""What the codes are for."""
_BOX = "/MediaBox[0 0 72 36]"
_DRAWN = f"{_BOX}/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>"
_FLATE = "/Filter/FlateDecode"
_SQUARE = b"1 1 9 9 re f"


@dataclass(frozen=True)
class BadPages:
    """A file, and the codes that each of its pages may end with."""

    data: bytes
    codes: Codes
    """By number from 1 on; None where the file as a whole can't be opened."""


def whole(*codes: str) -> Codes:
    """The file can't be opened."""
    return {None: frozenset(codes)}


def pages(*each: frozenset[str]) -> Codes:
    """The file can, and its pages end so."""
    return dict(enumerate(each, start=1))


def light() -> dict[str, BadPages]:
    """Those that cost little even without bounds of memory and time."""
    return {**_boxes(), **_documents(), **_page_trees(), **_tiffs(), **_pictures()}


def heavy() -> dict[str, BadPages]:
    """Those that only a process with bounds may open. A minute's work, or gigabytes, each."""
    squares = zlib.compress(b"1 1 1 1 re f\n" * 1_000_000)
    spaces = _compressed(b" " * (1 << 20), times=4 << 10)
    flat = _compressed(bytes(30_000), times=30_000)
    grey = f"/Width 30000/Height 30000/ColorSpace/DeviceGray/BitsPerComponent 8{_FLATE}"
    either = FINE | HEAVY | BROKEN
    return {
        "a million objects.pdf": BadPages(_drawing(squares, _FLATE), pages(either)),
        "laughs.pdf": BadPages(_laughs(12), pages(HEAVY)),
        "bomb.pdf": BadPages(_drawing(spaces, _FLATE), pages(either)),
        "image of 30,000 px.pdf": BadPages(_image(flat, grey), pages(either)),
        "30,000 px.png": BadPages(
            poison.png(30_000, 30_000, 1, 0, _compressed(bytes(3_751), times=30_000)),
            whole("too_large"),
        ),
    }


def _boxes() -> dict[str, BadPages]:
    fine = ("0 0 0 0", "0 0 -72 -36", "72 36 0 0", "0 0 72", "0 0 nan 9", "a b c d", "0 0 1e30 9")
    named = {f"box {box}.pdf": BadPages(pdf(f"/MediaBox[{box}]"), pages(FINE)) for box in fine}
    return named | {
        "no box.pdf": BadPages(pdf("/Rotate 45"), pages(FINE)),
        "huge box.pdf": BadPages(
            pdf("/MediaBox[0 0 14400 14400]"), pages(frozenset({"too_large"}))
        ),
        "long box.pdf": BadPages(pdf("/MediaBox[0 0 90000 3]"), pages(FINE)),
        "flat box.pdf": BadPages(
            pdf("/MediaBox[0 0 0.001 500]"), pages(frozenset({"empty_picture"}))
        ),
    }


def _documents() -> dict[str, BadPages]:
    sound = in_file([two_columns()] * 2, "PDF")
    script = "/AA<</O<</S/JavaScript/JS(while\\(1\\){})>>>>"
    itself = _stream(4, b"/F Do") + _form(5, b"/F Do", 5)
    each_other = _stream(4, b"/F Do") + _form(5, b"/F Do", 6) + _form(6, b"/F Do", 5)
    lying = f"/Width 300000/Height 300000/ColorSpace/DeviceGray/BitsPerComponent 8{_FLATE}"
    return {
        "script.pdf": BadPages(pdf(_BOX + script), pages(FINE)),
        "draws itself.pdf": BadPages(_pdf(itself), pages(FINE)),
        "draw each other.pdf": BadPages(_pdf(each_other), pages(FINE)),
        "lying image.pdf": BadPages(_image(zlib.compress(bytes(99)), lying), pages(FINE)),
        "no password fits.pdf": BadPages(encrypted_pdf(), whole("encrypted")),
        "user's password.pdf": BadPages(locked(user=b"secret"), whole("encrypted")),
        "owner's password.pdf": BadPages(locked(), pages(FINE)),
        "cut short.pdf": BadPages(sound[: len(sound) // 2], whole("undecodable")),
        "garbage before.pdf": BadPages(b"\xffx" * 250 + sound, pages(FINE, FINE)),
        "garbage after the header.pdf": BadPages(
            sound[:9] + b"\xff\0garbage" * 99 + sound[9:], pages(FINE, FINE)
        ),
        "only garbage.pdf": BadPages(b"%PDF-1.7\n" + bytes(range(256)) * 9, whole("undecodable")),
    }


def _page_trees() -> dict[str, BadPages]:
    many = [f"{n} 0 obj<</Type/Page/Parent 2 0 R{_BOX}>>endobj\n" for n in range(10, 10_010)]
    kids = " ".join(f"{n} 0 R" for n in range(10, 10_010))
    thick = pdf(more="".join(many)).replace(b"[3 0 R]/Count 1>>", f"[{kids}]>>".encode())
    broken = {
        "nothing": b"null",
        "a number": b"42",
        "no page": b"<</Type/Catalog>>",
    }
    return {
        "10,000 pages.pdf": BadPages(thick, whole("too_many_pages")),
        "says 10,000 pages.pdf": BadPages(_counting(b"10000"), whole("too_many_pages")),
        "says 3 pages.pdf": BadPages(_counting(b"3"), pages(FINE, BROKEN, BROKEN)),
        "says -5 pages.pdf": BadPages(_counting(b"-5"), pages(FINE)),
        "no pages.pdf": BadPages(
            pdf().replace(b"[3 0 R]/Count 1", b"[]/Count 0"), whole("undecodable")
        ),
        **{
            f"a page is {name}.pdf": BadPages(_three_pages(second), pages(FINE, BROKEN, FINE))
            for name, second in broken.items()
        },
    }


def _tiffs() -> dict[str, BadPages]:
    return {
        "points back.tif": BadPages(tiff((0, 1, 0)), pages(FINE, FINE)),
        "points at itself.tif": BadPages(tiff((0, 0)), pages(FINE)),
        "points out.tif": BadPages(tiff((0, 1, 10**6)), pages(FINE, FINE, BROKEN)),
        "broken in the middle.tif": BadPages(tiff((0, 1, 2), broken=1), pages(FINE, BROKEN, FINE)),
        "10,000 pages.tif": BadPages(tiff(range(10_000)), whole("too_many_pages")),
        "cut short.tif": BadPages(
            in_file([two_columns()] * 2, "TIFF")[:999], pages(BROKEN, BROKEN)
        ),
        "nothing after it.tif": BadPages(tiff((0,))[:40], whole("undecodable")),
        "only a header.tif": BadPages(b"II*\0\x08\0\0\0", whole("undecodable")),
        "big.tif": BadPages(poison.encoded(two_columns(), "TIFF", big_tiff=True), pages(FINE)),
    }


def _pictures() -> dict[str, BadPages]:
    huge = poison.png(30_000, 30_000, 8, 2, zlib.compress(bytes(99)))
    return {
        "no bytes.png": BadPages(b"", whole("empty_file")),
        "huge.png": BadPages(huge, whole("too_large")),
        "200 megapixels.jpg": BadPages(poison.jpeg_with_header_size(14_200), whole("too_large")),
        "blank.png": BadPages(poison.encoded(Image.new("L", (300, 200), 255)), pages(FINE)),
        "noise.png": BadPages(poison.encoded(poison.noise(500, 400)), pages(FINE)),
        "one pixel.png": BadPages(poison.encoded(poison.noise(1, 1)), pages(FINE)),
    }


def tiff(order: Iterable[int], *, broken: int | None = None) -> bytes:
    """Grey pages of 8x8 px whose directories name one another in this order."""
    numbers = list(order)
    data = b"II*\0" + struct.pack("<I", 8 + 64) + bytes(64)
    fields = 8
    each = 2 + 12 * fields + 4
    after: dict[int, int] = {}
    for number, following in pairwise(numbers):
        after.setdefault(number, 8 + 64 + following * each)
    for number in range(len(set(numbers) - {10**6})):
        strip = 10**8 if number == broken else 8
        entries = [
            (256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, strip), (278, 8), (279, 64)
        ]  # fmt: skip
        data += struct.pack("<H", fields)
        data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        data += struct.pack("<I", after.get(number, 0))
    return data


def locked(*, user: bytes = b"", owner: bytes = b"theirs") -> bytes:
    """A PDF encrypted as PDF 1.4 has it (its algorithms 3.1 to 3.4): RC4 with a key of 40 bits."""
    filler = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
    users, owners = ((word + filler)[:32] for word in (user, owner))
    locks = _rc4(hashlib.md5(owners).digest()[:5], users)
    allowed, name = struct.pack("<i", -4), bytes(16)
    key = hashlib.md5(users + locks + allowed + name).digest()[:5]
    of_object = hashlib.md5(key + (4).to_bytes(3, "little") + bytes(2)).digest()[:10]
    said = f"/O<{locks.hex()}>/U<{_rc4(key, filler).hex()}>"
    rules = f"5 0 obj<</Filter/Standard/V 1/R 2/P -4{said}>>endobj\n".encode()
    trailer = f"/Encrypt 5 0 R/ID[<{name.hex()}><{name.hex()}>]"
    return _pdf(_stream(4, _rc4(of_object, _SQUARE)) + rules, f"{_BOX}/Contents 4 0 R", trailer)


def _rc4(key: bytes, data: bytes) -> bytes:
    state, at = list(range(256)), 0
    for place in range(256):
        at = (at + state[place] + key[place % len(key)]) % 256
        state[place], state[at] = state[at], state[place]
    found, one, two = bytearray(), 0, 0
    for byte in data:
        one = (one + 1) % 256
        two = (two + state[one]) % 256
        state[one], state[two] = state[two], state[one]
        found.append(byte ^ state[(state[one] + state[two]) % 256])
    return bytes(found)


def _pdf(objects: bytes, page: str = _DRAWN, trailer: str = "") -> bytes:
    """``pdf`` with objects of any bytes, from number 4 on."""
    head, mark, tail = pdf(page, trailer).partition(b"trailer")
    return head + objects + mark + tail


def _stream(number: int, body: bytes, more: str = "") -> bytes:
    head = f"{number} 0 obj<</Length {len(body)}{more}>>stream\n".encode()
    return head + body + b"\nendstream endobj\n"


def _form(number: int, body: bytes, draws: int) -> bytes:
    kind = "/Type/XObject/Subtype/Form/BBox[0 0 9 9]"
    return _stream(number, body, f"{kind}/Resources<</XObject<</F {draws} 0 R>>>>")


def _drawing(body: bytes, more: str = "") -> bytes:
    return _pdf(_stream(4, body, more), f"{_BOX}/Contents 4 0 R")


def _image(body: bytes, more: str) -> bytes:
    drawn = _stream(4, b"72 0 0 36 0 0 cm /F Do")
    return _pdf(drawn + _stream(5, body, f"/Type/XObject/Subtype/Image{more}"))


def _laughs(depth: int) -> bytes:
    """Forms each of which draws the next one ten times."""
    many = b"/F Do " * 10
    forms = (_form(5 + n, many, 6 + n) for n in range(depth))
    return _pdf(_stream(4, many) + b"".join(forms) + _form(5 + depth, _SQUARE, 0))


def _counting(count: bytes) -> bytes:
    return pdf().replace(b"/Count 1>>", b"/Count " + count + b">>")


def _three_pages(second: bytes) -> bytes:
    kids = pdf(more="4 0 obj%SECOND%endobj\n5 0 obj<</Type/Page/Parent 2 0 R" + _BOX + ">>endobj\n")
    return kids.replace(b"[3 0 R]/Count 1", b"[3 0 R 4 0 R 5 0 R]/Count 3").replace(
        b"%SECOND%", second
    )


def _compressed(part: bytes, *, times: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(part) for _ in range(times)) + packer.flush()
