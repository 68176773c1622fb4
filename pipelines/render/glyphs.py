"""Characters of a font as pixels: each drawn once per size, then pasted into its lines.

Coordinates are px; x runs right from the pen's start, y down from the baseline.

Shape suffixes: H height, W width (pixels).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont, features

from crnn.errors import DataError
from crnn.kept import Kept
from crnn.text.order import turning
from pipelines.render.fonts import Font

Mask = NDArray[np.uint8]

_FACES = 512
_GLYPHS_BYTES = 64 << 20
_GLYPH_BYTES = 600
"""Bytes of a glyph besides its mask: its objects and its place."""
_KERNINGS = 32768
_COMPLEX_SCRIPTS = (
    (
        "\u0590",
        "\u109f",
    ),  # Hebrew, Arabic and their neighbours, the scripts of India, Thai, Burmese
    ("\u1780", "\u18af"),  # Khmer, Mongolian
    ("\U00011000", "\U00011fff"),  # more scripts of India
)
_SIMPLE_SCRIPTS_END = "\u058f"  # Latin, Greek, Cyrillic, Armenian: a glyph a character


@dataclass(frozen=True)
class Glyph:
    """One character's coverage (0–255) and where it lies from the pen on the baseline, px."""

    mask: Mask
    left: int
    top: int
    advance: float


@dataclass(frozen=True)
class Placed:
    """A glyph with its pen position."""

    x: int
    y: int
    glyph: Glyph

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (not included)."""
        left, top = self.x + self.glyph.left, self.y + self.glyph.top
        height, width = self.glyph.mask.shape
        return left, top, left + width, top + height


@dataclass(frozen=True)
class GlyphLine:
    """Glyphs in a row, and the box of their ink widened to the capitals' height."""

    placed: Sequence[Placed]
    box: tuple[int, int, int, int]
    size_px: int
    """Size of an em in which it was drawn."""


@lru_cache(maxsize=_FACES)
def face(path: str, index: int, size_px: int) -> ImageFont.FreeTypeFont:
    """The face at a size; it sets one glyph after another, no matter what else is installed."""
    return ImageFont.truetype(path, size_px, index, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=_FACES)
def _shaping_face(path: str, index: int, size_px: int) -> ImageFont.FreeTypeFont:
    """The same face for scripts that join or reorder characters."""
    return ImageFont.truetype(path, size_px, index, layout_engine=ImageFont.Layout.RAQM)


@cache
def can_shape() -> bool:
    """Whether Pillow here joins and reorders characters: with libraqm, which needs FriBiDi."""
    return bool(features.check("raqm") and features.check("fribidi"))


def check_shaping(characters: str, *, shaping: bool | None = None) -> None:
    """Without shaping letters would be drawn apart and in the wrong order, with a wrong label.

    Args:
        characters: that are to be drawn.
        shaping: whether that is possible; None: as it is here.

    Raises:
        DataError: naming characters that can't be drawn right.
    """
    if can_shape() if shaping is None else shaping:
        return
    wrong = sorted(c for c in set(characters) if _needs_shaping(c))
    if wrong:
        raise DataError(
            f"{''.join(wrong[:20])!r} can't be drawn right: these scripts run from the right, join "
            "or stack their characters, for which Pillow needs libraqm and FriBiDi. Install the "
            "system's package libfribidi0 (Pillow's own wheels have the rest), or leave the "
            "characters out"
        )


def _needs_shaping(character: str) -> bool:
    if turning(character) or unicodedata.combining(character):
        return True
    return any(first <= character <= last for first, last in _COMPLEX_SCRIPTS)


@lru_cache(maxsize=_FACES)
def _capitals(path: str, index: int, size_px: int) -> tuple[int, int]:
    """The top and the bottom of capitals and digits."""
    _, top, _, bottom = face(path, index, size_px).getbbox("H0", anchor="ls")
    return math.floor(top), math.ceil(bottom)


_glyphs = Kept[tuple[str, int, int, str, bool], Glyph](_GLYPHS_BYTES)
"""The last used; in scripts that join their letters each is a whole text."""


def _glyph(path: str, index: int, size_px: int, text: str, bitmap: bool = False) -> Glyph:
    """``text`` (mostly one character) drawn once; drawing is what costs, pasting is cheap."""
    key = path, index, size_px, text, bitmap
    glyph = _glyphs.get(key)
    if glyph is None:
        glyph = _drawn(*key)
        _glyphs.keep(key, glyph, glyph.mask.nbytes + _GLYPH_BYTES)
    return glyph


def _drawn(path: str, index: int, size_px: int, text: str, bitmap: bool) -> Glyph:
    joined = len(text) > 1 and can_shape()
    drawing = (_shaping_face if joined else face)(path, index, size_px)
    core, (left, top) = drawing.getmask2(text, "1" if bitmap else "L", anchor="ls")
    canvas = Image.new("L", core.size)
    if core.size[0] and core.size[1]:
        canvas.im.paste(core, (0, 0, *core.size))
    mask = np.asarray(canvas).reshape(core.size[::-1])
    return Glyph(mask, left, top, drawing.getlength(text))


@lru_cache(maxsize=_KERNINGS)
def _kerning(path: str, index: int, size_px: int, pair: str) -> float:
    """How much nearer (negative) two characters stand than their advances say, in px."""
    apart = sum(_glyph(path, index, size_px, character).advance for character in pair)
    return face(path, index, size_px).getlength(pair) - apart


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How letters are set."""

    spacing_px: float = 0.0
    """Added after each character."""
    drops_px: Sequence[int] = ()
    """How far each character lies below the baseline; none: all lie on it."""
    initial_scale: float = 1.0
    """Size of the first character, as a multiple of the others'."""
    bitmap: bool = False
    """Each px is inked or not, and strokes lie on whole px."""


def set_line(text: str, font: Font, size_px: int, setting: Setting) -> GlyphLine:
    """``text`` in one row.

    Scripts that join or reorder characters are one piece, shaped as a whole and never spaced.

    Raises:
        DataError: as ``check_shaping``.
    """
    path, index = font.path, font.index
    if not can_shape():
        check_shaping(text)
    if max(text) > _SIMPLE_SCRIPTS_END or any(unicodedata.combining(c) for c in text):
        placed = [Placed(0, 0, _glyph(path, index, size_px, text, setting.bitmap))]
        return GlyphLine(placed, _box(placed, font, size_px), size_px)
    placed, pen, before = [], 0.0, ""
    for i, character in enumerate(text):
        size = round(size_px * setting.initial_scale) if i == 0 else size_px
        if character.isalpha() and before.isalpha():
            pen += _kerning(path, index, size_px, before + character)
        glyph = _glyph(path, index, size, character, setting.bitmap)
        drop_px = setting.drops_px[i] if setting.drops_px else 0
        placed.append(Placed(round(pen), drop_px, glyph))
        pen += glyph.advance + setting.spacing_px
        before = character
    return GlyphLine(placed, _box(placed, font, size_px), size_px)


def _box(placed: Sequence[Placed], font: Font, size_px: int) -> tuple[int, int, int, int]:
    """Around all ink; at least as high as capitals and digits, so a lone dash stays a dash."""
    top, bottom = _capitals(font.path, font.index, size_px)
    lefts, tops, rights, bottoms = zip(*(p.box for p in placed), strict=True)
    return min(lefts), min(top, *tops), max(rights), max(bottom, *bottoms)


def paste(line: GlyphLine, canvas_HW: Mask, x: int, y: int) -> None:
    """Ink ``line`` with its pen's start at (``x``, ``y``); what lies outside is cut off."""
    height, width = canvas_HW.shape
    for placed in line.placed:
        left, top, right, bottom = placed.box
        left, top, right, bottom = left + x, top + y, right + x, bottom + y
        if left >= 0 and top >= 0 and right <= width and bottom <= height:
            place, mask = canvas_HW[top:bottom, left:right], placed.glyph.mask
        else:
            x0, y0, x1, y1 = max(0, left), max(0, top), min(width, right), min(height, bottom)
            if x0 >= x1 or y0 >= y1:
                continue
            place = canvas_HW[y0:y1, x0:x1]
            mask = placed.glyph.mask[y0 - top : y1 - top, x0 - left : x1 - left]
        np.maximum(place, mask, out=place)
