"""What is measured of one labelled picture.

Sharpness, angles and room are measured where the picture has the model's height, since that is
what the model sees of them. Nothing here needs to know which tone is ink.

Shape suffixes: H height, W width (pixels).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn.images.colours import in_colours
from crnn.images.contract import PictureContract, Pixels
from pipelines.comparison.lean import Floats, rotation_deg, slant_deg

_MOST_WIDTH_PX = 4096
_DARK, _BRIGHT = 5, 95
"""Percentiles of the grey levels between which the contrast lies."""
_INKED = 0.25
"""A row or a column has ink where its edges are more than this share of a busy one's."""
_HALF_PX = 0.5 / PictureContract().height
_BUSY = 90
"""Percentile of the rows' or columns' edges that a busy one has."""


@dataclass(frozen=True, kw_only=True)
class Trait:
    """One quantity, as it is told to people."""

    title: str
    axis: str
    """What it is counted in."""
    method: str
    unit: float = 0.0
    """Its values are multiples of this; 0: they may be anything."""


TRAITS: dict[str, Trait] = {
    "heights_per_character": Trait(
        title="Width of a character", axis="heights a character",
        method="Width over height of the picture, over the characters of its label.",
    ),
    "characters": Trait(
        title="Label length", axis="characters in the label", unit=1,
        method="Characters of the label.",
    ),
    "height_px": Trait(
        title="Height", axis="px", unit=1, method="Height of the picture as it is stored.",
    ),
    "contrast": Trait(
        title="Contrast", axis="grey levels",
        method="Grey levels between the darkest and the brightest 5% of the picture.",
    ),
    "brightness": Trait(
        title="Brightness", axis="grey level", method="Mean grey level of the picture.",
    ),
    "sharpness": Trait(
        title="Sharpness", axis="gradient over contrast, 1/px",
        method="Root mean square of the gradient over the standard deviation of the grey levels, "
        "at the model's height: Tenengrad (Krotkov, Focusing, 1988; Pertuz et al., Analysis of "
        "focus measure operators, 2013) made independent of the contrast. More strokes a px and "
        "noise raise it too.",
    ),
    "rotation_deg": Trait(
        title="Rotation", axis="degrees, falling to the right", unit=1,
        method="Angle of the lines along which edges gather best, -30 to 30 degrees in steps of 1 "
        "(Postl, Detection of linear oblique structures, 1986). Found near 0 where a text is "
        "too short to tell.",
    ),
    "slant_deg": Trait(
        title="Slant", axis="degrees, leaning to the right", unit=1.5,
        method="The same for upright strokes, against the picture's vertical, -45 to 45 degrees "
        "in steps "
        "of 1.5 (Vinciarelli and Luettin, A new normalization technique, 2001).",
    ),
    "room_beside": Trait(
        title="Room left and right", axis="heights", unit=_HALF_PX,
        method="Columns before the first and behind the last that has a quarter of the edges of a "
        "busy one (the 90th percentile), the mean of both sides.",
    ),
    "room_above": Trait(
        title="Room above and below", axis="heights", unit=_HALF_PX,
        method="The same for rows. 0: cut, or as tight as possible.",
    ),
}  # fmt: skip
"""Everything that is measured, by name, in the order of ``measure``."""

Measured = NDArray[np.float32]
"""A number for each of ``TRAITS``; NaN where there is nothing to measure."""


def measure(pixels: Pixels, characters: int, *, height: int) -> Measured:
    """The traits of an upright picture whose label has this many characters (0: none).

    Args:
        height: px at which the model sees it.
    """
    grey_HW = in_colours(pixels, 1)
    high, wide = grey_HW.shape
    dark, bright = np.percentile(grey_HW, (_DARK, _BRIGHT))
    values = {
        "heights_per_character": wide / high / characters if characters else np.nan,
        "characters": characters or np.nan,
        "height_px": high,
        "contrast": bright - dark,
        "brightness": grey_HW.mean(),
    }
    values |= _of_edges(_at_height(grey_HW, height))
    return np.array([values.get(name, np.nan) for name in TRAITS], dtype=np.float32)


def _of_edges(seen_HW: Floats) -> dict[str, float]:
    """What edges tell; nothing where there are none."""
    across_HW, down_HW = (_derivative(seen_HW, axis) for axis in (1, 0))
    found: dict[str, float] = {}
    if across_HW.any():
        found["slant_deg"] = slant_deg(across_HW)
    if down_HW.any():
        found["rotation_deg"] = rotation_deg(down_HW)
    edges_HW = np.hypot(across_HW, down_HW)
    if edges_HW.any():
        height = seen_HW.shape[0]
        found["sharpness"] = float(np.sqrt(np.mean(edges_HW**2)) / seen_HW.std())
        found["room_beside"] = _room(edges_HW.sum(axis=0)) / height
        found["room_above"] = _room(edges_HW.sum(axis=1)) / height
    return found


def _derivative(seen_HW: Floats, axis: int) -> Floats:
    """By Sobel's operator, in grey levels a px."""
    order = (1, 0) if axis == 1 else (0, 1)
    change = cv2.Sobel(seen_HW, cv2.CV_32F, *order, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(change, dtype=np.float32)


def _room(edges: Floats) -> float:
    """Entries before the first busy one and behind the last, the mean of both."""
    calm = float(edges.min())
    inked = np.flatnonzero(edges > calm + _INKED * (np.percentile(edges, _BUSY) - calm))
    return (int(inked[0]) + len(edges) - 1 - int(inked[-1])) / 2 if len(inked) else 0.0


def _at_height(grey_HW: Pixels, height: int) -> Floats:
    high, wide = grey_HW.shape
    width = int(np.clip(round(wide * height / high), 1, _MOST_WIDTH_PX))
    shrinking = high > height or wide > width
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey_HW, (width, height), interpolation=how), dtype=np.float32)
