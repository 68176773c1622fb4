"""The quick way: the pixels that Pillow gives, for the pictures that it takes, and no others."""

from __future__ import annotations

import functools
import io
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import MAX_PIXELS, PictureContract, decode_picture
from crnn.images.plain import decode_plain, small_header
from tests.crnn.networks import noise

SIZE = (61, 37)
GREY = PictureContract()
RGB = PictureContract(channels=3)


def picture(mode: str) -> Image.Image:
    """Coarse blocks of colour."""
    bands = [
        Image.fromarray(noise(seed, *SIZE))
        for seed in range(len(Image.new(mode, (1, 1)).getbands()))
    ]
    return Image.merge(mode, bands)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"quality": 35},
        {"subsampling": 0},
        {"subsampling": 1},
        {"progressive": True},
        {"optimize": True, "comment": b"hello"},
        {"restart_marker_rows": 1},
    ],
    ids=str,
)
def test_the_pixels_are_those_of_pillow(options: dict[str, Any]) -> None:
    for mode in ("L", "RGB"):
        data = encoded(picture(mode), **options)
        expected = by_pillow(data)
        found = decode_plain(data, grey=False, max_pixels=MAX_PIXELS)
        assert found is not None
        assert np.array_equal(found, np.asarray(expected))
        luma = decode_plain(data, grey=True, max_pixels=MAX_PIXELS)
        assert luma is not None and luma.shape == SIZE[::-1]
        difference = np.abs(luma.astype(int) - np.asarray(expected.convert("L")))
        if mode == "L":
            assert difference.max() == 0
        else:  # where no channel was cut off at 0 or 255, they differ by rounding
            inside = ((np.asarray(expected) > 0) & (np.asarray(expected) < 255)).all(axis=2)
            assert difference[inside].max() <= 2


@pytest.mark.parametrize("options", [{}, {"compress_level": 0}, {"dpi": (300, 300)}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_pixels_of_a_png_are_those_of_pillow_in_any_contract(
    options: dict[str, Any], mode: str
) -> None:
    data = encoded(picture(mode), "PNG", **options)
    for grey in (True, False):
        found = decode_plain(data, grey=grey, max_pixels=MAX_PIXELS)
        assert found is not None
        assert np.array_equal(found, np.asarray(by_pillow(data)))
    for contract in (GREY, RGB):
        assert np.array_equal(
            contract.fit(contract.decode(data)), contract.fit(np.asarray(by_pillow(data)))
        )


def test_each_contract_gets_its_colours() -> None:
    data = encoded(picture("RGB"))
    assert np.shape(GREY.decode(data)) == SIZE[::-1]
    assert np.shape(RGB.decode(data)) == (*SIZE[::-1], 3)
    assert decode_picture(data).mode == "RGB"


def exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one chunk more, before its last."""
    end = len(png) - 12
    checksum = zlib.crc32(kind + body).to_bytes(4, "big")
    return png[:end] + len(body).to_bytes(4, "big") + kind + body + checksum + png[end:]


WHOLE = encoded(picture("RGB"))
PNG = encoded(picture("L"), "PNG")
INTERLACED = bytearray(PNG)
INTERLACED[28] = 1
INTERLACED[29:33] = zlib.crc32(INTERLACED[12:29]).to_bytes(4, "big")
LEFT_TO_PILLOW = {
    "turned by Exif": encoded(picture("L"), exif=exif()),
    "CMYK": encoded(picture("CMYK")),
    "RGB within": encoded(picture("RGB"), keep_rgb=True),
    "several pictures": encoded(
        picture("RGB"), "MPO", save_all=True, append_images=[picture("RGB")]
    ),
    "PNG with alpha": encoded(picture("LA"), "PNG"),
    "PNG with a palette": encoded(picture("L").convert("P"), "PNG"),
    "PNG of 1 bit": encoded(picture("L").convert("1"), "PNG"),
    "PNG of 16 bits": encoded(Image.new("I;16", SIZE), "PNG"),
    "PNG with a transparent colour": encoded(picture("RGB"), "PNG", transparency=(1, 2, 3)),
    "PNG turned by Exif": encoded(picture("L"), "PNG", exif=exif()),
    "PNG turned by Exif at its end": with_chunk(PNG, b"eXIf", exif().tobytes()[6:]),
    "PNG that moves": encoded(
        picture("L"), "PNG", save_all=True, append_images=[Image.new("L", SIZE)]
    ),
    "PNG interlaced": bytes(INTERLACED),
    "PNG damaged": PNG[:-20] + bytes([PNG[-20] ^ 1]) + PNG[-19:],
    "PNG cut off": PNG[:-1],
    "PNG without a header": PNG[:8] + PNG[33:],
    "PNG of nothing": PNG[:8],
    "PNG of many parts": functools.reduce(
        lambda png, _: with_chunk(png, b"tEXt", b"a\0b"), range(300), PNG
    ),
    "JPEG of many parts": WHOLE[:2] + b"\xff\xfe\x00\x02" * 300 + WHOLE[2:],
    "GIF": encoded(picture("L"), "GIF"),
    "cut off": WHOLE[: len(WHOLE) // 2],
    "nothing": b"",
    "two ends only": b"\xff\xd8\xff\xd9",
    "no frame": b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
    "a frame of nothing": b"\xff\xd8\xff\xc0\x00\x02\xff\xd9",
}


@pytest.mark.parametrize("name", LEFT_TO_PILLOW)
def test_all_else_is_left_to_pillow(name: str) -> None:
    for grey in (True, False):
        assert decode_plain(LEFT_TO_PILLOW[name], grey=grey, max_pixels=MAX_PIXELS) is None


def test_what_is_small_takes_little_whatever_its_bytes_hold() -> None:
    blank = Image.new("L", (1024, 512))
    for kind in ("JPEG", "PNG"):
        assert small_header(encoded(blank, kind)) is not None
        for size in ((1024, 513), (513, 1024), (1, 16_385), (16_385, 1)):
            assert small_header(encoded(Image.new("L", size), kind)) is None
    assert small_header(encoded(picture("L"), progressive=True)) is None
    rough = Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8))
    assert small_header(encoded(rough, "PNG")) is None  # 0.7 MiB


def test_a_picture_of_too_many_pixels_is_left_by_its_header() -> None:
    assert decode_plain(WHOLE, grey=True, max_pixels=SIZE[0] * SIZE[1]) is not None
    assert decode_plain(WHOLE, grey=True, max_pixels=SIZE[0] * SIZE[1] - 1) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([WHOLE, PNG]), st.integers(0), st.integers(0, 255), st.booleans())
def test_damage_gives_a_picture_or_none(whole: bytes, place: int, value: int, grey: bool) -> None:
    data = bytearray(whole)
    data[place % len(data)] = value
    found = decode_plain(bytes(data), grey=grey, max_pixels=100_000)
    if found is not None:
        assert found.dtype == np.uint8 and found.ndim in ((2,) if grey else (2, 3))
        assert found.shape[0] * found.shape[1] <= 100_000


def damaged(kind: str) -> bytes:
    """A JPEG in colour of which libjpeg complains, and that can be read all the same."""
    whole = encoded(picture("RGB"), quality=90)
    middle = (whole.index(b"\xff\xda") + len(whole)) // 2
    return {
        "cut off": whole[:middle] + whole[-2:],
        "overwritten": whole[:middle] + b"\xa5" * 40 + whole[middle + 40 :],
        "bytes before its end": whole[:-2] + b"left over" + whole[-2:],
    }[kind]


@pytest.mark.parametrize("kind", ["cut off", "overwritten", "bytes before its end"])
def test_a_damaged_jpeg_is_no_word_on_stderr(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = damaged(kind)
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert "Corrupt JPEG data" in capfd.readouterr().err  # OpenCV does tell of it
    pixels = np.asarray(decode_picture(data))
    assert np.array_equal(pixels, np.asarray(by_pillow(data)))
    assert GREY.decode(data) is not None
    header = small_header(data)
    assert header is not None and GREY.decode_by(header, data) is None
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_breaks_off_in_its_header_is_a_reject() -> None:
    whole = encoded(picture("RGB"))
    tables = whole.index(b"\xff\xc4")
    data = whole[: tables + 5] + b"\xff" * 16 + whole[tables + 21 :]  # more codes than there can be
    for contract in (GREY, RGB):
        with pytest.raises(PictureError) as told:
            contract.decode(data)
        assert told.value.reason == "undecodable"
