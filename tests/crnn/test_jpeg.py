"""``crnn.jpeg``: the pixels that Pillow gives, for the pictures that it takes, and no others."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn.image import MAX_PIXELS, PictureContract, decode_picture
from crnn.jpeg import decode_jpeg
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
        found = decode_jpeg(data, grey=False, max_pixels=MAX_PIXELS)
        assert found is not None
        assert np.array_equal(found, np.asarray(expected))
        luma = decode_jpeg(data, grey=True, max_pixels=MAX_PIXELS)
        assert luma is not None and luma.shape == SIZE[::-1]
        difference = np.abs(luma.astype(int) - np.asarray(expected.convert("L")))
        if mode == "L":
            assert difference.max() == 0
        else:  # where no channel was cut off at 0 or 255, they differ by rounding
            inside = ((np.asarray(expected) > 0) & (np.asarray(expected) < 255)).all(axis=2)
            assert difference[inside].max() <= 2


def test_each_contract_gets_its_colours() -> None:
    data = encoded(picture("RGB"))
    assert GREY.decode(data).mode == "L"
    assert RGB.decode(data).mode == decode_picture(data).mode == "RGB"


def with_exif(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, exif=exif)


WHOLE = encoded(picture("RGB"))
LEFT_TO_PILLOW = {
    "turned by Exif": with_exif(picture("L")),
    "CMYK": encoded(picture("CMYK")),
    "RGB within": encoded(picture("RGB"), keep_rgb=True),
    "several pictures": encoded(
        picture("RGB"), "MPO", save_all=True, append_images=[picture("RGB")]
    ),
    "PNG": encoded(picture("L"), "PNG"),
    "cut off": WHOLE[: len(WHOLE) // 2],
    "nothing": b"",
    "two ends only": b"\xff\xd8\xff\xd9",
    "no frame": b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
    "a frame of nothing": b"\xff\xd8\xff\xc0\x00\x02\xff\xd9",
}


@pytest.mark.parametrize("name", LEFT_TO_PILLOW)
def test_all_else_is_left_to_pillow(name: str) -> None:
    for grey in (True, False):
        assert decode_jpeg(LEFT_TO_PILLOW[name], grey=grey, max_pixels=MAX_PIXELS) is None


def test_a_picture_of_too_many_pixels_is_left_by_its_header() -> None:
    assert decode_jpeg(WHOLE, grey=True, max_pixels=SIZE[0] * SIZE[1]) is not None
    assert decode_jpeg(WHOLE, grey=True, max_pixels=SIZE[0] * SIZE[1] - 1) is None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_damage_gives_a_picture_or_none(place: int, value: int, grey: bool) -> None:
    data = bytearray(WHOLE)
    data[place] = value
    found = decode_jpeg(bytes(data), grey=grey, max_pixels=100_000)
    if found is not None:
        assert found.dtype == np.uint8 and found.ndim in ((2,) if grey else (2, 3))
        assert found.shape[0] * found.shape[1] <= 100_000
