from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn.images.contract import Pixels
from pipelines.inspection import near
from pipelines.inspection.near import MOST_BITS, near_pairs
from pipelines.inspection.pictures import NEAR_DIFFERENCE, difference, look_at, signature


def word(text: str, *, size: int = 28, ink: int = 20, paper: int = 235) -> Pixels:
    font = ImageFont.load_default(size)
    image = Image.new("L", (int(font.getlength(text)) + 12, size + 10), paper)
    ImageDraw.Draw(image).text((6, 2), text, font=font, fill=ink)
    return np.asarray(image)


def recoded(pixels: Pixels, *, scale: float = 1.0, quality: int = 60) -> Pixels:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def bits_apart(one: Pixels, other: Pixels) -> int:
    return (look_at(one, channels=1).look ^ look_at(other, channels=1).look).bit_count()


def apart(one: Pixels, other: Pixels) -> float:
    return difference(signature(one), signature(other))


WORDS = ("TOTAL", "INVOICE 2026", "café", "12.50", "Straßenbahn")


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize(("scale", "quality"), [(1.0, 40), (0.8, 80), (1.6, 60)])
def test_another_encoding_or_size_of_a_picture_is_near(
    text: str, scale: float, quality: int
) -> None:
    image = word(text)
    other = recoded(image, scale=scale, quality=quality)
    assert bits_apart(image, other) <= MOST_BITS
    assert apart(image, other) == apart(other, image) < NEAR_DIFFERENCE


def test_another_brightness_is_near() -> None:
    dark, light = word("TOTAL"), word("TOTAL", ink=80, paper=250)
    assert bits_apart(dark, light) <= MOST_BITS
    assert apart(dark, light) < NEAR_DIFFERENCE


@pytest.mark.parametrize(
    ("one", "other"),
    [("2025-11-03", "2025-11-08"), ("TOTAL 10.00", "TOTAL 19.00"), ("Straßenbahn", "Straßenbahm"),
     ("O", "Q"), ("1,234,567", "1,234,561")],
)  # fmt: skip
def test_one_other_character_in_the_same_font_is_not_near(one: str, other: str) -> None:
    assert apart(word(one), word(other)) > NEAR_DIFFERENCE


def test_what_is_kept_of_a_picture_is_its_pixels() -> None:
    grey = word("abc")
    in_colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert look_at(grey, channels=1) == look_at(in_colour, channels=1)
    changed = grey.copy()
    changed[3, 3] ^= 1
    assert look_at(changed, channels=1).pixels != look_at(grey, channels=1).pixels
    in_colour[-1, -1, 2] ^= 1
    assert look_at(in_colour, channels=1).pixels != look_at(grey, channels=1).pixels
    turned = look_at(np.rot90(grey, 2), channels=1)
    assert turned.pixels != look_at(grey, channels=1).pixels


def test_contrast_is_what_the_model_sees() -> None:
    same_grey = Image.new("RGB", (20, 10), (100, 100, 100))
    ImageDraw.Draw(same_grey).rectangle((5, 2, 12, 8), fill=(200, 57, 61))  # the same luma
    assert look_at(np.asarray(same_grey), channels=1).contrast <= 1
    assert look_at(np.asarray(same_grey), channels=3).contrast == 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 9), (40, 5000)])
def test_pictures_of_any_shape_have_a_look(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert 0 <= look_at(image, channels=1).look < 2**64
    assert apart(image, image) == 0


def brute_force(looks: np.ndarray, widths: np.ndarray) -> set[tuple[int, int]]:
    return {
        (i, j)
        for i, j in itertools.combinations(range(len(looks)), 2)
        if (int(looks[i]) ^ int(looks[j])).bit_count() <= MOST_BITS
        and max(widths[i], widths[j]) <= min(widths[i], widths[j]) * near.WIDTH_TOLERANCE + 1
    }


@pytest.mark.parametrize("seed", range(5))
def test_all_near_pairs_are_found_and_no_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    originals = rng.integers(0, 2**64, 40, np.uint64)
    looks = rng.choice(originals, 240)
    for place in range(len(looks)):
        for bit in rng.choice(64, rng.integers(0, 7), replace=False):
            looks[place] ^= np.uint64(1) << np.uint64(bit)
    widths = rng.choice([60, 62, 64, 100], 240).astype(np.uint16)
    found = near_pairs(looks, widths)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == sorted(brute_force(looks, widths))
    assert len(pairs) > 50
    assert found.crowded == 0


def test_nothing_to_compare() -> None:
    for count in (0, 1):
        found = near_pairs(np.zeros(count, np.uint64), np.ones(count, np.uint16))
        assert (len(found.first), found.crowded) == (0, 0)


def test_a_crowd_of_equal_looks_is_bounded_and_said() -> None:
    count = 400
    found = near_pairs(np.zeros(count, np.uint64), np.full(count, 100, np.uint16))
    assert len(found.first) == sum(min(near.SPAN, count - 1 - i) for i in range(count))
    assert found.crowded == count - near.SPAN - 1
