"""Which way up a page lies: quarter turns, by the regions' shapes and by reading a few both ways.

A page that was scanned upside down or on its side isn't turned: the corners of its regions are
numbered from where the text begins, so that each is cut out upright.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from crnn.images.region import Region
from crnn.pages.detector import Found

TALL = 1.5
"""Height over width from which a region's text runs up or down."""
TRIED = 4
"""Lines that are read to know which way up the page lies."""
SURE = 0.8
"""Mean confidence from which the other way isn't tried."""
MARGIN = 0.05
"""By how much more the other way must convince."""
_LONG = 2.5, 25.0
"""Width over height of regions that are tried: a few words."""

Corners = NDArray[np.float64]
"""``(N, 4, 2)``: corners of regions, px."""
Confidences = Callable[[Sequence[Region]], Sequence[float]]
"""How sure a recognizer is of each of these regions, 0 to 1."""


def corners_of(found: Sequence[Found]) -> Corners:
    """The corners of these regions."""
    flat = np.array([one.region for one in found], dtype=np.float64)
    return flat.reshape(len(found), 4, 2)


def turned(found: Sequence[Found], confidences: Confidences) -> tuple[list[Found], int]:
    """The regions with their corners numbered from where the text begins, and the page's turn.

    The turn is in quarters, clockwise, 0 to 3, and one for the whole page. Where most of the text
    (by length) runs up or down the page lies on its side; which of two ways is right, ``TRIED``
    lines of it tell.
    """
    if not found:
        return [], 0
    quarters = 1 if _lies_on_side(corners_of(found)) else 0
    first = _numbered(found, quarters)
    tried = _worth_trying(first)
    if not tried:
        return first, quarters
    one_way = _mean(confidences([one.region for one in tried]))
    if one_way >= SURE:
        return first, quarters
    other_way = _mean(confidences([one.region for one in _numbered(tried, 2)]))
    if other_way <= one_way + MARGIN:
        return first, quarters
    return _numbered(first, 2), quarters + 2


def _lies_on_side(corners: Corners) -> bool:
    across, down = _sides(corners)
    longer = np.maximum(across, down)
    return bool(longer[down >= TALL * across].sum() > longer.sum() / 2)


def _sides(corners: Corners) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widths and heights."""
    across = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    down = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1)
    return across, down


def _numbered(found: Sequence[Found], quarters: int) -> list[Found]:
    """The same regions, with their first corner, where the text begins, ``quarters`` further."""
    at = 2 * quarters
    return [Found(cast(Region, one.region[at:] + one.region[:at]), one.score) for one in found]


def _worth_trying(found: Sequence[Found]) -> list[Found]:
    """Some regions with a few words, those with the highest scores."""
    across, down = _sides(corners_of(found))
    ratios = across / np.maximum(down, 1e-9)
    long = [one for one, r in zip(found, ratios, strict=True) if _LONG[0] <= r <= _LONG[1]]
    return sorted(long, key=lambda one: -one.score)[:TRIED]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
