"""Arrays all the way give the pixels that Pillow's own ways of cutting and converting give."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from crnn.images.colours import in_colours, luma
from crnn.images.contract import MAX_PIXELS, PictureContract, Pixels, decode_picture
from crnn.images.plain import decode_plain
from crnn.images.prepare import prepare, prepare_upright
from crnn.images.region import Region, cut, cut_out, from_box
from tests.crnn.poison import noise

SIZE = 120, 80
CONTRACTS = {
    "grey": PictureContract(),
    "colour": PictureContract(channels=3),
    "fixed": PictureContract(mode="fixed", widths=(100,)),
    "wide": PictureContract(channels=3, stretch=1.5, shrinking="linear", rounding="up"),
}
REGIONS: dict[str, Region | None] = {
    "whole": None,
    "box": from_box(10, 20, 70, 50),
    "all of it": from_box(0, 0, *SIZE),
    "the last pixel": from_box(119, 79, 120, 80),
    "over the edges": from_box(-7, -3, 130, 20),
    "between pixels": from_box(10.5, 20.25, 70.5, 50.25),
    "between pixels at the border": from_box(100.5, 60.5, 123.5, 82.5),
    "tilted": (20.0, 10.0, 90.0, 22.0, 86.0, 48.0, 16.0, 36.0),
    "on its side": (40.0, 10.0, 40.0, 70.0, 10.0, 70.0, 10.0, 10.0),
    "tall": from_box(30, 5, 45, 75),
}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    size = SIZE if orientation < 5 else SIZE[::-1]
    return encoded(noise(*size, seed=orientation), "JPEG", exif=exif)


def of_16_bits(*channels: int) -> bytes:
    values = np.random.default_rng(1).integers(0, 1 << 16, (SIZE[1], SIZE[0], *channels))
    return cv2.imencode(".png", values.astype(np.uint16))[1].tobytes()


RGB = noise(*SIZE, seed=4)
FADED = RGB.convert("RGBA")
FADED.putalpha(noise(*SIZE, seed=5).convert("L"))
FILES = {
    "png": encoded(RGB),
    "grey png": encoded(RGB.convert("L")),
    "black and white": encoded(RGB.convert("1")),
    "rgba": encoded(FADED),
    "la": encoded(FADED.convert("LA")),
    "palette": encoded(RGB.convert("P")),
    "clear palette": encoded(RGB.convert("P"), transparency=3),
    "gif": encoded(RGB, "GIF"),
    "16 bits": of_16_bits(),
    "16 bits in colour": of_16_bits(3),
    "jpeg": encoded(RGB, "JPEG", quality=90),
    "grey jpeg": encoded(RGB.convert("L"), "JPEG"),
    "progressive jpeg": encoded(RGB, "JPEG", progressive=True),
    "cmyk jpeg": encoded(RGB.convert("CMYK"), "JPEG"),
    "webp": encoded(RGB, "WEBP", lossless=True),
    "tiff": encoded(RGB, "TIFF"),
    **{f"turned, {n}": turned(n) for n in range(1, 9)},
}


def by_pillow(data: bytes, contract: PictureContract, region: Region | None) -> Pixels:
    """By its images, whichever way the file was decoded."""
    plain = decode_plain(data, grey=contract.channels == 1, max_pixels=MAX_PIXELS)
    image = decode_picture(data) if plain is None else Image.fromarray(plain)
    if region is not None:
        image = cut_out(image, region)
    pixels = np.asarray(image.convert("L" if contract.channels == 1 else "RGB"))
    return contract.pad(contract.fit(pixels), contract.bucket_width(*image.size))


def test_grey_of_every_colour_is_pillow_s() -> None:
    steps = np.arange(256, dtype=np.uint8)
    for red in steps:
        colours = np.stack([np.broadcast_to(red, (256, 256)), *np.meshgrid(steps, steps)], axis=-1)
        assert np.array_equal(luma(colours), np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("file", FILES)
def test_a_picture_and_its_regions_are_as_by_pillow(file: str) -> None:
    data = FILES[file]
    for contract in CONTRACTS.values():
        whole = contract.decode(data)
        for region in REGIONS.values():
            expected = by_pillow(data, contract, region)
            assert np.array_equal(prepare(data, contract, region=region).pixels, expected)
            assert np.array_equal(prepare_upright(whole, contract, region=region).pixels, expected)


@pytest.mark.parametrize("file", ["png", "grey png", "rgba", "palette", "16 bits"])
def test_images_and_arrays_are_as_their_files(file: str) -> None:
    data = FILES[file]
    image = Image.open(io.BytesIO(data))
    upright = np.asarray(decode_picture(data))
    backwards = np.ascontiguousarray(upright[..., ::-1])[..., ::-1]
    for contract in CONTRACTS.values():
        for region in REGIONS.values():
            expected = by_pillow(data, contract, region)
            for given in (image.copy(), upright, backwards):
                assert np.array_equal(prepare(given, contract, region=region).pixels, expected)


@pytest.mark.parametrize("region", [r for r in REGIONS.values() if r], ids=str)
def test_an_array_is_cut_as_an_image_is(region: Region) -> None:
    for image in (RGB, RGB.convert("L")):
        assert np.array_equal(cut(np.asarray(image), region), np.asarray(cut_out(image, region)))


def test_no_pixel_is_changed_or_copied_that_is_right_already() -> None:
    for pixels in (np.asarray(RGB), np.asarray(RGB.convert("L"))):
        assert in_colours(pixels, 3 if pixels.ndim == 3 else 1) is pixels
        assert np.shares_memory(cut(pixels, from_box(10, 20, 70, 50)), pixels)
