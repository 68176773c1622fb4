"""How wide and how bold a face is, by its ink: what files say of themselves is often wrong.

A condensed face calls itself regular where its family has no other, and the weight class of many
fonts is 400, no matter what they look like.

Shape suffixes: H height, W width (pixels).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PROBE_PX = 64
_PROBES = "HEOANSRU02358"
"""Capitals and digits that are neither wide nor narrow, nor a single stroke."""
_ROOM_PX = 2


CONDENSED = 0.72
"""Width up to which a face is condensed: about a tenth of the faces on signs and packages."""
THIN = 0.08
"""Stroke up to which it is thin: about a twentieth."""


class Build(NamedTuple):
    """Both as shares of the capitals' height."""

    width: float
    """Median width of capitals and digits: about 0.85, or 0.65 in a condensed face."""
    stroke: float
    """Median thickness of strokes: about 0.11 in regular faces, 0.18 in bold, 0.05 in thin ones."""


def build_of(face: ImageFont.FreeTypeFont, characters: Iterable[str]) -> Build | None:
    """The build of a face drawn at ``PROBE_PX``; None where it writes none of the probes.

    A stroke's thickness is twice its area over its outline's length, and that length the sum of
    the coverage's gradient: no part of a letter needs to be found for it.

    Args:
        characters: those that it writes.
    """
    there = set(characters)
    found = [build for c in _PROBES if c in there and (build := _of_glyph(face, c))]
    if not found:
        return None
    width, stroke = np.median(np.array(found), axis=0).tolist()
    return Build(width, stroke)


def _of_glyph(face: ImageFont.FreeTypeFont, character: str) -> Build | None:
    left, top, right, bottom = (round(v) for v in face.getbbox(character))
    if right <= left or bottom <= top:
        return None
    size = (right - left + 2 * _ROOM_PX, bottom - top + 2 * _ROOM_PX)
    canvas = Image.new("L", size)
    place = (_ROOM_PX - left, _ROOM_PX - top)
    ImageDraw.Draw(canvas).text(place, character, fill=255, font=face)
    ink_HW = np.asarray(canvas, dtype=np.float32) / 255
    outline = float(np.hypot(*np.gradient(ink_HW)).sum())
    if not outline:
        return None
    height = bottom - top
    return Build((right - left) / height, 2 * float(ink_HW.sum()) / outline / height)
