"""Reading order and which way up a page lies, on boxes alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from crnn.images.region import Region, from_box
from crnn.pages.detector import Found
from crnn.pages.order import reading_order
from crnn.pages.turning import corners_of, turned

HEIGHT = 20
HEADER = (50, 0, 900, 30)
COLUMNS = [
    (50 + 500 * c, 60 + 30 * r, 450 + 500 * c, 80 + 30 * r) for c in (0, 1) for r in range(6)
]
RECEIPT = [
    box
    for r in range(8)
    for box in ((50, 40 * r, 300 + 10 * r, 40 * r + 20), (600, 40 * r + 2, 680, 40 * r + 21))
]


def corners(boxes: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    return np.array([from_box(*box) for box in boxes], dtype=float).reshape(-1, 4, 2)


@pytest.mark.parametrize("degrees", [0, 4, -7, 90, 180, 270])
@pytest.mark.parametrize(
    "boxes",
    [[HEADER, *COLUMNS, (300, 260, 700, 280)], RECEIPT, COLUMNS[:6]],
    ids=["columns between a heading and a footer", "a receipt row by row", "one column"],
)
def test_regions_are_read_in_order_however_the_page_lies(
    boxes: list[tuple[int, int, int, int]], degrees: int
) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mixed = np.random.default_rng(1).permutation(len(boxes))
    quarters = degrees // 90 if degrees % 90 == 0 else 0
    order = reading_order(corners(boxes)[mixed] @ turn + 2_000, quarters)
    assert [int(mixed[place]) for place in order] == list(range(len(boxes)))


def test_nothing_and_a_page_of_noise_have_an_order_too() -> None:
    assert reading_order(np.zeros((0, 4, 2))) == []
    low = np.random.default_rng(2).integers(0, 3_000, (1_000, 2))
    boxes = [(int(x), int(y), int(x) + 40, int(y) + 9) for x, y in low]
    assert sorted(reading_order(corners(boxes))) == list(range(1_000))


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_page_has_its_corners_where_the_text_begins(quarters: int) -> None:
    """The recognizer of this test is sure of what reads as the upright page does."""
    upright = corners([HEADER, *COLUMNS])
    turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), quarters)
    on_page = upright @ turn
    seen = [Found(_as_it_lies(one), 0.9) for one in on_page]
    right = [tuple(map(float, one.flat)) for one in on_page]

    def confidences(regions: Sequence[Region]) -> list[float]:
        return [0.9 if tuple(map(float, region)) in right else 0.1 for region in regions]

    found, told = turned(seen, confidences)
    assert told == quarters
    assert np.allclose(corners_of(found), on_page)


def _as_it_lies(on_page: np.ndarray) -> Region:
    """As a detector gives a region: from the top left of the page on."""
    (x0, y0), (x1, y1) = on_page.min(axis=0), on_page.max(axis=0)
    return from_box(x0, y0, x1, y1)


def test_lines_that_read_well_are_not_read_the_other_way() -> None:
    asked: list[int] = []

    def confidences(regions: Sequence[Region]) -> list[float]:
        asked.append(len(regions))
        return [0.9] * len(regions)

    turned([Found(from_box(*box), 0.9) for box in COLUMNS], confidences)
    assert asked == [4]
