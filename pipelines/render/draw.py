"""One text → one encoded picture: ink on paper as a scanner, a screen or a phone would show it.

The text is never clipped: the ink's own box is measured, and every later step only adds room.
Legible to a person by construction: ink and paper differ by at least ``min_contrast`` grey levels.

Shape suffixes: H height, W width (pixels), C channels (1 or 3).
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.render.fonts import Font

Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BORDER_PX = 2


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """How varied the pictures are; all values are the largest that may be drawn."""

    min_size_px: int = 20
    """Smallest font size, in pixels an em."""
    max_size_px: int = 48
    """Largest font size, in pixels an em."""
    margin: float = 0.35
    """Room beside the text, as a share of the font size; above and below it half as much."""
    spacing_share: float = 0.25
    """Share of pictures with letters set apart, by at most a tenth of the font size."""
    shear: float = 0.12
    """Slant of the uprights, as a tangent, to either side."""
    rotation_deg: float = 1.5
    """Turn of the line to either side; less for long lines, so that they keep their height."""
    blur_sigma: float = 0.9
    """Standard deviation of the ink's Gaussian blur, in px at a font size of 32."""
    noise_sigma: float = 9.0
    """Standard deviation of pixel noise, in grey levels."""
    gradient: float = 28.0
    """Difference of light across the picture, in grey levels."""
    texture_share: float = 0.3
    """Share of pictures on a textured paper."""
    texture: float = 12.0
    """Strength of that texture, in grey levels."""
    colour_share: float = 0.35
    """Share of pictures in colour; the others are grey."""
    light_on_dark_share: float = 0.3
    """Share of pictures with light ink on dark paper."""
    min_contrast: float = 100.0
    """Least difference of ink and paper, in grey levels."""
    jpeg_share: float = 0.7
    """Share of pictures encoded as JPEG; the others are PNG."""
    jpeg_quality: tuple[int, int] = (60, 95)
    """Lowest and highest JPEG quality."""

    def __post_init__(self) -> None:
        if not 8 <= self.min_size_px <= self.max_size_px:
            raise ValueError(
                f"sizes are {self.min_size_px}–{self.max_size_px} px; expected 8 ≤ min ≤ max"
            )
        if not 0 < self.min_contrast <= 200:
            raise ValueError(f"min_contrast is {self.min_contrast}; expected above 0, at most 200")
        low, high = self.jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"jpeg_quality is {self.jpeg_quality}; expected 1 ≤ low ≤ high ≤ 100")
        for name in ("spacing_share", "texture_share", "colour_share", "light_on_dark_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a share in [0, 1]")


PLAIN = StyleConfig(
    spacing_share=0,
    shear=0,
    rotation_deg=0,
    blur_sigma=0,
    noise_sigma=0,
    gradient=0,
    texture_share=0,
    colour_share=0,
    jpeg_share=0,
)
"""Sharp grey text on even paper: for tests and for looking at fonts."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An encoded picture and its size."""

    data: bytes
    width: int
    height: int


def draw(text: str, font: Font, rng: Generator, style: StyleConfig | None = None) -> Picture:
    """``text`` in ``font`` as an encoded PNG or JPEG, the same bytes for the same generator state.

    Raises:
        ValueError: when the text is empty or has no visible ink in this font.
    """
    if not text:
        raise ValueError("the text is empty; expected at least one visible character")
    style = StyleConfig() if style is None else style
    mask_HW, scale = _ink(text, font, rng, style)
    pixels = _paint(_warp(mask_HW, scale, rng, style), rng, style)
    height, width = pixels.shape[:2]
    return Picture(data=_encode(pixels, rng, style), width=width, height=height)


@dataclass(frozen=True)
class _Glyph:
    """One character's coverage (0–255) and where it lies from the pen, in px."""

    mask: Mask
    left: int
    top: int
    advance: float


@lru_cache(maxsize=2048)
def _face(path: str, size_px: int) -> tuple[ImageFont.FreeTypeFont, int, int]:
    """The face at a size, and the top and bottom of its capitals and digits."""
    face = ImageFont.truetype(path, size_px)
    _, top, _, bottom = face.getbbox("H0")
    return face, math.floor(top), math.ceil(bottom)


@lru_cache(maxsize=65536)
def _glyph(path: str, size_px: int, text: str) -> _Glyph:
    """``text`` (mostly one character) drawn once; drawing is what costs, pasting is cheap."""
    face, _, _ = _face(path, size_px)
    left, top, right, bottom = face.getbbox(text)
    left, top = math.floor(left) - 1, math.floor(top) - 1
    box = (max(0, math.ceil(right) + 1 - left), max(0, math.ceil(bottom) + 1 - top))
    canvas = Image.new("L", box)
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=face)
    return _Glyph(np.asarray(canvas), left, top, face.getlength(text))


@lru_cache(maxsize=65536)
def _kerning(path: str, size_px: int, pair: str) -> float:
    """How much nearer (negative) two characters stand than their advances say, in px."""
    apart = sum(_glyph(path, size_px, character).advance for character in pair)
    return _face(path, size_px)[0].getlength(pair) - apart


def _line(text: str, path: str, size_px: int, spacing_px: float) -> list[tuple[int, _Glyph]]:
    """The glyphs of a line with their pen positions.

    Scripts that join or reorder characters are one piece, shaped as a whole and never spaced.
    """
    if max(text) > "\u058f" or any(unicodedata.combining(c) for c in text):
        return [(0, _glyph(path, size_px, text))]
    line, pen = [], 0.0
    for i, character in enumerate(text):
        if i and character.isalpha() and text[i - 1].isalpha():
            pen += _kerning(path, size_px, text[i - 1 : i + 1])
        glyph = _glyph(path, size_px, character)
        line.append((round(pen), glyph))
        pen += glyph.advance + spacing_px
    return line


def _ink(text: str, font: Font, rng: Generator, style: StyleConfig) -> tuple[Mask, float]:
    """The text's coverage ``HW`` with its margins, and the scale that makes it the size drawn.

    Drawn at the next of few sizes, so that most glyphs were drawn before. Nothing touches the
    border. The height is at least that of capitals and digits, so a lone dash stays a dash.
    """
    size = rng.uniform(style.min_size_px, style.max_size_px)
    drawn = math.ceil(8 * 1.19 ** math.ceil(math.log(size / 8, 1.19)))
    _, cap_top, cap_bottom = _face(font.path, drawn)
    apart = rng.random(2)
    spacing = apart[1] * 0.1 * drawn if apart[0] < style.spacing_share else 0.0
    line = _line(text, font.path, drawn, spacing)
    before, after, above, below = rng.random(4) * style.margin * drawn + 2 * _BORDER_PX
    left = min(pen + glyph.left for pen, glyph in line)
    top = min(cap_top, *(glyph.top for _, glyph in line))
    right = max(pen + glyph.left + glyph.mask.shape[1] for pen, glyph in line)
    bottom = max(cap_bottom, *(glyph.top + glyph.mask.shape[0] for _, glyph in line))
    x0, y0 = int(before) - left, int(above / 2) - top
    size_hw = (y0 + bottom + int(below / 2), x0 + right + int(after))
    canvas_HW = np.zeros(size_hw, dtype=np.uint8)
    for pen, glyph in line:
        y, x = y0 + glyph.top, x0 + pen + glyph.left
        place = canvas_HW[y : y + glyph.mask.shape[0], x : x + glyph.mask.shape[1]]
        np.maximum(place, glyph.mask, out=place)
    if not canvas_HW.any():
        raise ValueError(f"{text!r} has no visible ink in {font.key}; expected a visible character")
    return canvas_HW, size / drawn


def _warp(mask_HW: Mask, scale: float, rng: Generator, style: StyleConfig) -> Mask:
    """Scaled, sheared, turned and blurred, on a canvas that holds all of it."""
    height, width = mask_HW.shape
    shear, turn, blur = rng.uniform(-1, 1, 3)
    slant = shear * style.shear
    angle = turn * math.radians(style.rotation_deg) * min(1.0, 5 * height / width)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    high_x, high_y = max(0.0, slant * height), max(0.0, sine * width)
    low_x, low_y = min(0.0, slant * height), min(0.0, sine * width)
    size = (
        math.ceil(cosine * width + high_x - low_x),
        math.ceil(cosine * height + high_y - low_y),
    )
    matrix = np.array([[cosine, slant, -low_x], [sine, cosine, -low_y]])
    warped_HW = cv2.warpAffine(mask_HW, matrix, size, flags=cv2.INTER_LINEAR)
    sigma = abs(blur) * style.blur_sigma * height * scale / 40
    if sigma > 0.3:
        warped_HW = cv2.GaussianBlur(warped_HW, (0, 0), sigma)
    return np.asarray(warped_HW, dtype=np.uint8)


def _paint(mask_HW: Mask, rng: Generator, style: StyleConfig) -> Mask:
    """Ink laid on paper through the mask, with light and noise added: ``HW`` or ``HWC``."""
    channels = 3 if rng.random() < style.colour_share else 1
    ink, paper = _tones(rng, style, channels)
    height, width = mask_HW.shape
    light_HW = _light(height, width, rng, style)
    cover_HW = mask_HW.astype(np.float32)
    planes = [  # one pass each: saturate(cover · (ink − paper) / 255 + light + paper)
        cv2.addWeighted(cover_HW, (i - p) / 255, light_HW, 1, p, dtype=cv2.CV_8U)
        for i, p in zip(ink.tolist(), paper.tolist(), strict=True)
    ]
    return np.asarray(planes[0] if channels == 1 else cv2.merge(planes), dtype=np.uint8)


def _tones(rng: Generator, style: StyleConfig, channels: int) -> tuple[Floats, Floats]:
    """Ink and paper, ``C`` grey levels each, at least ``min_contrast`` apart in brightness."""
    span = rng.uniform(style.min_contrast, 255)
    dark = rng.uniform(0, 255 - span)
    tones = np.full((2, channels), [[dark], [dark + span]], dtype=np.float32)
    if channels == 3:
        tint = rng.uniform(-70, 70, (2, 3))
        tint -= (tint @ _LUMA)[:, None]  # a tint changes the hue, not the brightness
        room = np.minimum(tones, 255 - tones)  # nor may it leave the range
        scale = np.minimum(1, room / np.maximum(np.abs(tint), 1e-6)).min(axis=1, keepdims=True)
        tones = (tones + tint * scale).astype(np.float32)
    light_on_dark = rng.random() < style.light_on_dark_share
    return (tones[1], tones[0]) if light_on_dark else (tones[0], tones[1])


_LUMA = np.array([0.114, 0.587, 0.299])  # ITU-R BT.601, in OpenCV's order blue, green, red


def _light(height: int, width: int, rng: Generator, style: StyleConfig) -> Floats:
    """What uneven light, paper and a noisy sensor add to every pixel ``HW``, in grey levels."""
    across, down, grit = rng.uniform(-1, 1, 3)
    sigma = np.float32(abs(grit) * style.noise_sigma)
    light_HW: Floats = rng.standard_normal((height, width), dtype=np.float32)
    light_HW *= sigma
    light_HW += _ramp(width, across * style.gradient / 2)[None, :]
    light_HW += _ramp(height, down * style.gradient / 2)[:, None]
    if rng.random() < style.texture_share:
        grain = int(rng.integers(2, 9))
        cells = (height // grain + 2, width // grain + 2)
        coarse = rng.uniform(-style.texture, style.texture, cells).astype(np.float32)
        light_HW += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return light_HW


def _ramp(length: int, slope: float) -> Floats:
    """``length`` values from ``-slope / 2`` to about ``slope / 2``."""
    return (np.arange(length, dtype=np.float32) - length / 2) * np.float32(slope / length)


def _encode(pixels: Mask, rng: Generator, style: StyleConfig) -> bytes:
    if rng.random() < style.jpeg_share:
        low, high = style.jpeg_quality
        options = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))]
        done, data = cv2.imencode(".jpg", pixels, options)
    else:  # run lengths: nearly the size of full compression on noisy pictures, twice as fast
        options = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
        done, data = cv2.imencode(".png", pixels, options)
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()
