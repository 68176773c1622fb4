"""The bounds of a cascade from two bundles' predictions: as counting each sample gives them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import DataError
from pipelines.evaluation.bounds import Bounds, Measure, bounds_of
from pipelines.evaluation.reader import PREDICTION_SCHEMA

Row = tuple[float | None, bool, str, bool]
"""The first bundle's confidence (None: not read) and whether it is right; the second one's text
and whether it is right."""
ROWS = st.tuples(
    st.none() | st.floats(0, 1).map(lambda value: round(value, 3)),
    st.booleans(),
    st.sampled_from(["", "text"]),
    st.booleans(),
)


SECOND = 0.5
"""The second bundle's confidence."""


def predictions(readings: list[tuple[float | None, str, bool]]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "set": "s",
            "id": f"{n:04}",
            "text": text,
            "log_probability": None if confidence is None else -1.0,
            "confidence": confidence or 0.0,
            "exact": right,
            "alnum_exact": None if n % 3 == 0 else right,
        }
        for n, (confidence, text, right) in enumerate(readings)
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)


def found(
    rows: list[Row], measure: Measure = "exact", points: float = 0.0, surer: bool = False
) -> Bounds:
    first = predictions([(confidence, "a", right) for confidence, right, *_ in rows])
    second = predictions([(SECOND, text, right) for *_, text, right in rows])
    return bounds_of(
        first,
        second.take(list(reversed(range(len(rows))))),
        measure=measure,
        points=points,
        surer=surer,
    )


@given(rows=st.lists(ROWS, min_size=2, max_size=40), alnum=st.booleans(), surer=st.booleans())
def test_every_bound_is_what_counting_gives(rows: list[Row], alnum: bool, surer: bool) -> None:
    counted = [row for n, row in enumerate(rows) if n % 3 or not alnum]
    bounds = found(rows, "alnum" if alnum else "exact", surer=surer)
    assert [bound.below for bound in bounds.bounds] == [n / 100 for n in range(101)]
    for bound in bounds.bounds:
        doubtful = [row[0] is not None and row[0] < bound.below for row in counted]
        right = [
            then if doubt and text and (not surer or (confidence or 0.0) < SECOND) else one
            for doubt, (confidence, one, text, then) in zip(doubtful, counted, strict=True)
        ]
        assert (bound.count, bound.doubtful, bound.right) == (
            len(counted), sum(doubtful), sum(right),
        )  # fmt: skip
    best = max(bound.right for bound in bounds.bounds)
    assert bounds.proposed == next(b for b in bounds.bounds if b.right == best)


def test_the_lowest_bound_that_loses_little_is_proposed() -> None:
    """100 samples: the second bundle mends 20 below 0.3, 5 more below 0.6, 1 more below 0.9."""
    rows: list[Row] = [(0.295, False, "x", True)] * 20 + [(0.595, False, "x", True)] * 5
    rows += [(0.895, False, "x", True), *[(0.99, True, "x", True)] * 74]
    assert [found(rows, points=points).proposed.below for points in (0, 1, 5.9, 6, 26)] == [
        0.9, 0.6, 0.6, 0.3, 0.0,
    ]  # fmt: skip
    assert found(rows).proposed.share == 0.26 and found(rows).proposed.accuracy == 1.0


def test_predictions_of_other_samples_are_refused() -> None:
    one = predictions([(0.5, "a", True), (0.6, "b", True)])
    with pytest.raises(DataError, match="2 and 1 samples that aren't the same"):
        bounds_of(one, one.slice(0, 1))
    with pytest.raises(DataError, match="no sample's label counts by 'alnum'"):
        bounds_of(one.slice(0, 1), one.slice(0, 1), measure="alnum")
    with pytest.raises(ValueError, match="points is -1"):
        bounds_of(one, one, points=-1)
