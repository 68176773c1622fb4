"""Transparent pictures: on paper's white, or on black where white would hide what they say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crnn.images.contract import PictureContract, decode_picture, upright
from crnn.images.prepare import prepare, upright_picture
from crnn.images.region import from_box

GREY, COLOUR = PictureContract(widths=(64,)), PictureContract(channels=3, widths=(64,))


def ink(value: int, mode: str = "RGBA", *, faint: int = 255) -> Image.Image:
    """A bar of one grey on a transparent ground whose own colour is another."""
    image = Image.new("RGBA", (60, 32), (90, 160, 30, 0))
    image.paste((value, value, value, faint), (10, 12, 50, 20))
    if mode == "P":
        flat = Image.new("P", image.size, 0)
        flat.putpalette([90, 160, 30, value, value, value])
        flat.paste(1, (10, 12, 50, 20))
        flat.info["transparency"] = 0
        return flat
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ground(data: bytes) -> int:
    return int(np.asarray(decode_picture(data).convert("L"))[0, 0])


@pytest.mark.parametrize(
    ("value", "expected"), [(255, 0), (240, 0), (200, 0), (190, 255), (128, 255), (0, 255)]
)
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_light_ink_is_laid_on_black_and_all_other_on_white(
    mode: str, value: int, expected: int
) -> None:
    options = {"transparency": 0} if mode == "P" else {}
    flat = np.asarray(decode_picture(encoded(ink(value, mode), **options)).convert("L"))
    assert flat[0, 0] == flat[31, 59] == expected
    assert abs(int(flat[16, 30]) - value) <= 1
    assert abs(int(flat[16, 30]) - expected) >= 55


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {"transparency": 0}),
        ("TIFF", "RGBA", {}),
        ("JPEG2000", "RGBA", {}),
    ],
)
def test_every_format_with_transparency_does_so(
    kind: str, mode: str, options: dict[str, Any]
) -> None:
    assert ground(encoded(ink(255, mode), kind, **options)) == 0
    assert ground(encoded(ink(0, mode), kind, **options)) == 255


@pytest.mark.parametrize(
    ("mode", "white", "clear"),
    [("L", 255, 40), ("RGB", (255, 255, 255), (90, 160, 30)), ("I;16", 65535, 1000)],
)
def test_a_transparent_colour_of_a_png_does_so(mode: str, white: Any, clear: Any) -> None:
    image = Image.new(mode, (60, 32), clear)
    image.paste(white, (10, 12, 50, 20))
    flat = np.asarray(decode_picture(encoded(image, transparency=clear)).convert("L"))
    assert flat[0, 0] == 0 and flat[16, 30] == 255


def test_faint_white_ink_and_soft_edges_count_by_their_opacity() -> None:
    assert ground(encoded(ink(255, faint=120))) == 0
    edged = ink(255)
    edged.paste((0, 0, 0, 3), (0, 0, 60, 10))  # a lossy format leaves such dust
    assert ground(encoded(edged)) == 0


def test_paper_with_a_transparent_margin_stays_on_white() -> None:
    scan = Image.new("RGBA", (100, 60), (0, 0, 0, 0))
    scan.paste((250, 250, 250, 255), (20, 10, 80, 50))
    scan.paste((20, 20, 20, 255), (30, 28, 60, 32))
    assert ground(encoded(scan)) == 255


def test_an_opaque_picture_and_an_empty_one_are_as_they_were() -> None:
    light = Image.new("RGBA", (40, 20), (250, 250, 250, 255))
    assert np.unique(np.asarray(upright(light))).tolist() == [250]
    assert np.unique(np.asarray(upright(Image.new("RGBA", (40, 20))))).tolist() == [255]


@pytest.mark.parametrize("contract", [GREY, COLOUR])
def test_all_ways_to_hand_in_a_picture_give_the_same_pixels(contract: PictureContract) -> None:
    image = ink(255)
    data = encoded(image)
    pixels = prepare(data, contract).pixels
    assert np.array_equal(pixels, prepare(image, contract).pixels)
    assert np.array_equal(pixels, prepare(np.asarray(upright_picture(image)), contract).pixels)
    whole = prepare(data, contract, region=from_box(0, 0, 60, 32)).pixels
    assert np.array_equal(pixels, whole)
    assert pixels[0, 0, 0] == 0 and pixels[16, 30, 0] == 255
