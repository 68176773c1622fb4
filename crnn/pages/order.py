"""In which order the regions of a page are read: columns one after another, then row by row.

A recursive XY-cut (Nagy & Seth 1984, "Hierarchical representation of optically scanned documents";
on boxes: Ha, Haralick & Phillips 1995, "Recursive X-Y cut using bounding boxes of connected
components"). The plain one takes the names and the prices of a receipt for two columns. So a gutter
counts only between columns of running text: several lines on both sides, that are long and fill
their column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crnn.pages.turning import Corners

GUTTER = 0.6
"""Least width of a gutter, in median heights of lines."""
COLUMN_LINES = 3
"""Least lines of a column."""
LINE_LENGTH = 6.0
"""Least median width of a column's lines, in median heights."""
FILLED = 0.55
"""Least share of its column that the median line of running text fills."""
SAME_ROW = 0.5
"""Share of the lower one's height by which neighbours of a row overlap at least."""
MOST_BANDS = 200
"""Maximum number of bands of a column considered together: a page of noise has thousands."""

Boxes = NDArray[np.float64]
"""``(N, 4)``: left, top, right, bottom, px, of regions whose text runs to the right."""
Places = NDArray[np.int64]


def reading_order(corners: Corners, quarters: int = 0) -> list[int]:
    """Places of the regions, as they are read.

    Args:
        corners: ``(N, 4, 2)``, px of the page, numbered from where the text begins.
        quarters: quarter turns clockwise of the page's text (``crnn.pages.turning``).
    """
    if not len(corners):
        return []
    boxes = _level(corners, quarters)
    height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    order: list[int] = []
    _ordered(boxes, np.arange(len(boxes)), max(height, 1e-6), order)
    return order


def _level(corners: Corners, quarters: int) -> Boxes:
    """Boxes around the regions once the page's turn and the median tilt are undone."""
    along = corners[:, 1] - corners[:, 0]
    down = corners[:, 3] - corners[:, 0]
    lengths = np.linalg.norm(along, axis=1)
    angles = np.arctan2(along[:, 1], along[:, 0]) - quarters * np.pi / 2
    angles = (angles + np.pi) % (2 * np.pi) - np.pi
    lines = lengths >= np.linalg.norm(down, axis=1)
    tilt = float(np.median(angles[lines])) if lines.any() else 0.0
    angle = tilt + quarters * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = corners @ turn
    return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1)


def _ordered(boxes: Boxes, places: Places, height: float, order: list[int]) -> None:
    """Append ``places`` to ``order`` as they are read."""
    gutter = _gutter(boxes[places], height)
    if gutter is not None:
        middle = (boxes[places, 0] + boxes[places, 2]) / 2
        for side in (places[middle < gutter], places[middle >= gutter]):
            _ordered(boxes, side, height, order)
        return
    groups = _grouped(boxes, _bands(boxes, places), height)
    if len(groups) == 1:
        order += _by_rows(boxes, places)
        return
    for group in groups:
        _ordered(boxes, group, height, order)


def _bands(boxes: Boxes, places: Places) -> list[Places]:
    """Cut wherever nothing is at some height, from the top down."""
    sorted_places = places[np.argsort(boxes[places, 1], kind="stable")]
    reach = np.maximum.accumulate(boxes[sorted_places, 3])
    cuts = np.flatnonzero(boxes[sorted_places[1:], 1] >= reach[:-1]) + 1
    return list(np.split(sorted_places, cuts))


def _grouped(boxes: Boxes, bands: Sequence[Places], height: float) -> list[Places]:
    """Neighbouring bands together where the same gutter goes through them, others alone.

    Lines of two columns often stand level with one another, so each pair of them is a band.
    """
    groups: list[Places] = []
    start = 0
    while start < len(bands):
        end = start + 1
        while end < min(len(bands), start + MOST_BANDS) and (
            _free_of(boxes[np.concatenate(bands[start : end + 1])], height) is not None
        ):
            end += 1
        together = np.concatenate(bands[start:end])
        if _gutter(boxes[together], height) is None:
            together, end = bands[start], start + 1
        groups.append(together)
        start = end
    return groups


def _free_of(boxes: Boxes, height: float) -> NDArray[np.float64] | None:
    """Centres of the vertical gaps that no region touches; None where there are none."""
    by_left = boxes[np.argsort(boxes[:, 0])]
    reach = np.maximum.accumulate(by_left[:, 2])
    gaps = by_left[1:, 0] - reach[:-1]
    wide = np.flatnonzero(gaps >= GUTTER * height)
    return (by_left[wide + 1, 0] + reach[wide]) / 2 if len(wide) else None


def _gutter(boxes: Boxes, height: float) -> float | None:
    """Centre of the widest gutter between columns of running text; None without any."""
    if len(boxes) < 2 * COLUMN_LINES:
        return None
    middles = _free_of(boxes, height)
    for middle in middles if middles is not None else ():
        sides = boxes[boxes[:, 2] <= middle], boxes[boxes[:, 0] >= middle]
        if all(_is_column(side, height) for side in sides):
            return float(middle)
    return None


def _is_column(boxes: Boxes, height: float) -> bool:
    if len(boxes) < COLUMN_LINES:
        return False
    width = float(np.median(boxes[:, 2] - boxes[:, 0]))
    column = float(boxes[:, 2].max() - boxes[:, 0].min())
    return width >= LINE_LENGTH * height and width >= FILLED * column


def _by_rows(boxes: Boxes, places: Places) -> list[int]:
    """Row by row, each from the left; regions at about the same height are a row."""
    rows: list[list[int]] = []
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    for place in places[np.argsort(middles[places], kind="stable")].tolist():
        if rows and _are_level(boxes[rows[-1][0]], boxes[place]):
            rows[-1].append(place)
        else:
            rows.append([place])
    return [place for row in rows for place in sorted(row, key=lambda one: boxes[one, 0])]


def _are_level(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return bool(shared >= SAME_ROW * min(one[3] - one[1], other[3] - other[1]))
