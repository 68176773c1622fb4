"""Pictures whose size, contrast, turn, lean, blur and margins are known, and so measured."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.comparison.traits import TRAITS, measure

Pixels = NDArray[np.uint8]


def word(
    text: str = "Hamburg", *, paper: int = 220, ink: int = 40, room: tuple[int, int] = (40, 40)
) -> Pixels:
    """Text in 64 px type with so much room beside and above it."""
    font = ImageFont.load_default(64)
    left, top, right, bottom = (round(v) for v in font.getbbox(text))
    size = (right - left + 2 * room[0], bottom - top + 2 * room[1])
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).text((room[0] - left, room[1] - top), text, font=font, fill=ink)
    return np.asarray(image)


def traits(pixels: Pixels, characters: int = 7) -> dict[str, float]:
    values = measure(pixels, characters, height=32)
    return dict(zip(TRAITS, values.tolist(), strict=True))


def warped(pixels: Pixels, matrix: list[list[float]]) -> Pixels:
    height, width = pixels.shape
    size = (width, height)
    return np.asarray(
        cv2.warpAffine(pixels, np.array(matrix), size, borderValue=int(pixels[0, 0])), np.uint8
    )


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """Clockwise, so that baselines fall to the right."""
    middle = (pixels.shape[1] / 2, pixels.shape[0] / 2)
    return warped(pixels, cv2.getRotationMatrix2D(middle, -degrees, 1.0).tolist())


def test_sizes_are_those_of_the_file() -> None:
    found = traits(np.full((20, 90), 200, np.uint8), characters=3)
    assert found["heights_per_character"] == pytest.approx(90 / 20 / 3)
    assert (found["height_px"], found["characters"]) == (20, 3)
    assert found["brightness"] == 200


def test_a_flat_picture_has_nothing_that_edges_tell() -> None:
    found = traits(np.full((20, 90), 200, np.uint8), characters=0)
    assert found["contrast"] == 0
    unknown = {name for name, value in found.items() if math.isnan(value)}
    assert unknown == {
        "heights_per_character", "characters", "sharpness", "rotation_deg", "slant_deg",
        "room_beside", "room_above",
    }  # fmt: skip


@pytest.mark.parametrize(("paper", "ink"), [(220, 40), (40, 220), (150, 110)])
def test_polarity_and_contrast_change_the_contrast_alone(paper: int, ink: int) -> None:
    found, usual = traits(word(paper=paper, ink=ink)), traits(word())
    assert found["contrast"] == pytest.approx(abs(paper - ink), abs=2)
    for name in ("sharpness", "rotation_deg", "slant_deg", "room_beside", "room_above"):
        assert found[name] == pytest.approx(usual[name], abs=0.03), name


@pytest.mark.parametrize("degrees", [-18, -7, -2, 0, 3, 9, 16])
def test_a_turn_is_found(degrees: float) -> None:
    pixels = turned(word("HAMBURG", room=(60, 110)), degrees)
    assert traits(pixels)["rotation_deg"] == pytest.approx(degrees, abs=1.6)


@pytest.mark.parametrize("degrees", [-20, -10, 0, 10, 25])
def test_a_slant_is_found(degrees: float) -> None:
    pixels = word("HAMBURG", room=(60, 30))
    tangent = math.tan(math.radians(degrees))
    leaning = warped(pixels, [[1, -tangent, tangent * pixels.shape[0] / 2], [0, 1, 0]])
    found = traits(leaning)
    assert found["slant_deg"] == pytest.approx(degrees, abs=2.5)
    assert found["rotation_deg"] == pytest.approx(0, abs=1.6)


def test_blur_takes_sharpness() -> None:
    pixels = word()
    found = [
        traits(np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8))["sharpness"]
        for sigma in (0.5, 3.0, 6.0, 12.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 1.5 * found[-1]


def test_a_wave_has_the_sharpness_that_calculus_says() -> None:
    """The root mean square of a sine's slope over that of its height is its frequency."""
    wave = 128 + 90 * np.sin(np.arange(320) * 2 * math.pi / 40)
    pixels = np.repeat(wave[None, :], 32, axis=0).astype(np.uint8)
    assert traits(pixels)["sharpness"] == pytest.approx(2 * math.pi / 40, rel=0.03)


@pytest.mark.parametrize("room", [(0, 0), (15, 40), (60, 10)])
def test_room_is_what_lies_around_the_ink(room: tuple[int, int]) -> None:
    pixels = word("MEHMEH", room=room)
    found = traits(pixels)
    assert found["room_beside"] == pytest.approx(room[0] / pixels.shape[0], abs=0.1)
    assert found["room_above"] == pytest.approx(room[1] / pixels.shape[0], abs=0.1)


def test_any_size_can_be_measured() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (1, 300), (300, 1), (2, 9000), (7, 5)):
        pixels = rng.integers(0, 255, (height, width), np.uint8)
        assert traits(pixels)["height_px"] == height
