"""Small pictures that take a decoder long: what a service mustn't decode beside others' requests.

By name; each is below ``crnn.images.plain``'s bounds of bytes, pixels and side, so that work alone
tells.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

_SIDE_PX = 512
_BYTES = 400_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def rough(mode: str, width: int = _SIDE_PX, height: int = _SIDE_PX) -> Image.Image:
    """Noise, of which every pixel costs."""
    bands = [
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (height, width), np.uint8))
        for n in range(len(Image.new(mode, (1, 1)).getbands()))
    ]
    return Image.merge(mode, bands)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, pixels: bytes, width: int, height: int) -> bytes:
    """A grey PNG with these chunks before its data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", pixels)
    return b"".join([_SIGNATURE, header, *chunks, data, chunk(b"IEND", b"")])


def _rows(width: int, height: int) -> bytes:
    return zlib.compress((b"\0" + bytes(width)) * height)


def with_inflating_chunks(kind: bytes, count: int, inflated: int = 1 << 20) -> bytes:
    """A PNG whose texts or profiles inflate to so many bytes each."""
    packed = zlib.compress(struct.pack(">I", inflated) + bytes(inflated), 9)
    before = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    chunks = [chunk(kind, before + packed)] * count
    return png(*chunks, pixels=_rows(64, 32), width=64, height=32)


def with_endless_data(inflated: int = 8 << 20) -> bytes:
    """A PNG whose data goes on far behind its last row."""
    return png(pixels=zlib.compress(bytes(inflated), 9), width=64, height=32)


def of_many_scans(
    scans: int = _BYTES // 10, side_px: int = _SIDE_PX, *, progressive: bool = False
) -> bytes:
    """A JPEG that comes as one component after the other, again and again, without data: 10 bytes a
    scan, and for each the decoder goes over all of its blocks."""
    marker, last = (0xC2, 0) if progressive else (0xC0, 63)
    grey = encoded(Image.new("L", (side_px, side_px), 90), "JPEG")
    begin, scan = grey.index(b"\xff\xc0"), grey.index(b"\xff\xda")
    end = begin + 2 + struct.unpack_from(">H", grey, begin + 2)[0]
    frame = struct.pack(">BHHB", 8, side_px, side_px, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    head = struct.pack(">BBH", 0xFF, marker, 2 + len(frame)) + frame
    scan_of = b"\xff\xda\x00\x08\x01%c\x00\x00%c\x00"
    parts = [scan_of % (1 + n % 3, last) for n in range(scans)]
    return b"".join([grey[:begin], head, grey[end:scan], *parts, b"\xff\xd9"])


def of_one_scan_and_more() -> bytes:
    """A grey JPEG with a scan of all that there is, and the same again and again behind it."""
    whole = encoded(Image.new("L", (_SIDE_PX, _SIDE_PX), 90), "JPEG")
    scan = whole[whole.index(b"\xff\xda") : -2]
    return whole[:-2] + scan * (_BYTES // len(scan)) + whole[-2:]


def with_tables_behind() -> bytes:
    """A JPEG with its tables again and again behind its scan."""
    whole = encoded(rough("L", 64, 64), "JPEG")
    tables = whole[whole.index(b"\xff\xc4") : whole.index(b"\xff\xda")]
    return whole[:-2] + tables * (_BYTES // len(tables)) + whole[-2:]


LEFT_TO_THE_SANDBOX: dict[str, Callable[[], bytes]] = {
    "a JPEG of many scans": of_many_scans,
    "a progressive JPEG of many scans": lambda: of_many_scans(progressive=True),
    "a progressive JPEG": lambda: encoded(rough("L"), "JPEG", progressive=True, quality=60),
}
"""By their headers: they may take any time."""
QUICK: dict[str, Callable[[], bytes]] = {
    "a JPEG with tables behind": with_tables_behind,
    "a JPEG of noise": lambda: encoded(rough("RGB", 320, 320), "JPEG", quality=98, subsampling=0),
    "a JPEG of restarts": lambda: encoded(rough("L"), "JPEG", restart_marker_blocks=1),
    "a blank JPEG": lambda: encoded(Image.new("RGB", (1024, 512)), "JPEG"),
    "a PNG of noise": lambda: encoded(rough("RGB", 400, 400), "PNG"),
    "a blank PNG": lambda: encoded(Image.new("RGB", (1024, 512)), "PNG"),
    "a PNG of large texts": lambda: with_inflating_chunks(b"zTXt", 3),
    "a PNG of large texts of Unicode": lambda: with_inflating_chunks(b"iTXt", 3),
    "a PNG of a large profile": lambda: with_inflating_chunks(b"iCCP", 1),
    "a PNG of many profiles": lambda: with_inflating_chunks(b"iCCP", 3),
    "a PNG of endless data": with_endless_data,
}
"""What is decoded at once, in little time whatever they hold."""
