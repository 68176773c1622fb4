"""The quick way under attack: what is decoded beside others is bounded in work, not in size alone.

``docs/security.md`` says what each of these cost before and after; time is no test's business.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from crnn.images.contract import MAX_PIXELS, PictureContract
from crnn.images.plain import decode_by, decode_plain, plain_header, small_header
from crnn.images.prepare import small_picture
from tests.crnn.hostile_pictures import (
    LEFT_TO_THE_SANDBOX,
    QUICK,
    chunk,
    encoded,
    of_many_scans,
    of_one_scan_and_more,
    png,
    rough,
    with_endless_data,
    with_inflating_chunks,
)

WORD = rough("L", 200, 40)


@pytest.mark.parametrize("name", LEFT_TO_THE_SANDBOX)
def test_what_may_take_any_time_is_not_small(name: str) -> None:
    data = LEFT_TO_THE_SANDBOX[name]()
    assert plain_header(data) is not None and small_header(data) is None


def test_scans_are_counted_by_their_components() -> None:
    for options in ({}, {"subsampling": 0}, {"optimize": True}, {"restart_marker_blocks": 4}):
        for mode in ("L", "RGB"):
            assert small_header(encoded(rough(mode, 60, 40), "JPEG", **options)) is not None
    assert small_header(of_many_scans(1, 64)) is None, "it needn't be the last"
    cut = of_many_scans(1, 64)
    cut = cut[: cut.index(b"\xff\xda") + 4] + b"\xff\xd9"
    header = plain_header(cut)
    assert header is not None and not header.in_one_go


@pytest.mark.parametrize("name", QUICK)
def test_what_is_small_is_decoded_as_pillow_does_or_left_to_it(name: str) -> None:
    data = QUICK[name]()
    header = small_header(data)
    assert header is not None
    for grey in (True, False):
        found = decode_by(header, data, grey=grey)
        if found is not None and header.channels == 1:
            assert np.array_equal(found, pixels(data))
    small = small_picture(data)
    assert small is not None
    prepared = small.prepare(PictureContract())
    assert prepared is None or prepared.pixels.shape[0] == PictureContract().height


def pixels(data: bytes) -> np.ndarray:
    """By Pillow, which takes no large texts and profiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("PIL.PngImagePlugin.MAX_TEXT_CHUNK", 8 << 20)
        patch.setattr("PIL.PngImagePlugin.MAX_TEXT_MEMORY", 1 << 30)
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("L"))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_no_chunk_but_the_picture_is_inflated(kind: bytes) -> None:
    """libpng would allocate and inflate 8 MB of each; not a byte of them reaches it: one that
    can't be inflated is no damage, and nothing is said of it."""
    data = with_inflating_chunks(kind, 1)
    assert decode_plain(data, grey=True, max_pixels=MAX_PIXELS) is not None
    broken = png(chunk(kind, b"a\0\0no deflate"), pixels=zlib.compress(bytes(65 * 32)), width=64,
                 height=32)  # fmt: skip
    found = decode_plain(broken, grey=True, max_pixels=MAX_PIXELS)
    assert found is not None and found.shape == (32, 64) and not found.any()


def test_damage_of_a_chunk_that_is_not_decoded_is_damage_all_the_same() -> None:
    data = bytearray(with_inflating_chunks(b"zTXt", 1))
    data[60] ^= 1
    assert decode_plain(bytes(data), grey=True, max_pixels=MAX_PIXELS) is None


def test_chunks_among_the_data_are_left_out_and_the_pixels_stay() -> None:
    data = encoded(WORD, "PNG")
    place = data.index(b"IDAT") - 4
    size = struct.unpack_from(">I", data, place)[0]
    packed = data[place + 8 : place + 8 + size]
    rest = data[place + 12 + size :]
    text = chunk(b"tEXt", b"a\0b")
    halves = [chunk(b"IDAT", packed[: size // 2]), chunk(b"IDAT", packed[size // 2 :])]
    plain = b"".join([data[:place], text, *halves, text, rest])
    found = decode_plain(plain, grey=True, max_pixels=MAX_PIXELS)
    assert np.array_equal(found, np.asarray(WORD))
    assert np.array_equal(decode_plain(data, grey=True, max_pixels=MAX_PIXELS), np.asarray(WORD))


def test_scans_behind_the_only_one_are_not_decoded() -> None:
    data = of_one_scan_and_more()
    header = small_header(data)
    assert header is not None
    found = decode_by(header, data, grey=True)
    assert found is None or np.array_equal(found, np.full((512, 512), 90))


def test_data_behind_the_last_row_is_not_inflated() -> None:
    assert decode_plain(with_endless_data(), grey=True, max_pixels=MAX_PIXELS) is None
    left = PictureContract().decode(with_endless_data())  # Pillow stops at the last row
    assert left.shape == (32, 64)


@pytest.mark.parametrize("change", [-1, 0, 1])
def test_large_image_data_must_be_as_long_as_its_rows(change: int) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (100, 201), np.uint8)
    rows[:, 0] = 0
    raw = (rows.tobytes() + b"\0")[: 100 * 201 + change]
    data = png(pixels=zlib.compress(raw), width=200, height=100)
    found = decode_plain(data, grey=True, max_pixels=MAX_PIXELS)
    if change:
        assert found is None
    else:
        assert np.array_equal(found, rows[:, 1:])
    cut = png(pixels=zlib.compress(raw)[:-8], width=200, height=100)
    assert decode_plain(cut, grey=True, max_pixels=MAX_PIXELS) is None
