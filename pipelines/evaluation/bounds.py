"""What a cascade would read at each bound, from the predictions of its two bundles; and which to
take.

Nothing is read again: for every sample both readings are known, and the bound decides which counts
(``crnn.inference.doubt``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crnn.errors import DataError
from pipelines.evaluation.predictions import same_samples

Measure = Literal["exact", "alnum"]
MEASURES: dict[Measure, str] = {"exact": "exact", "alnum": "alnum_exact"}
"""What counts as right, and its column: every character; letters and digits in any case."""
NEEDED = ("text", "log_probability", "confidence", *MEASURES.values())
"""Columns of the predictions that ``bounds_of`` looks at."""
STEPS = 100
"""Bounds that are looked at: multiples of a hundredth."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a cascade with this bound reads of the samples."""

    below: float
    """0: the first bundle alone."""
    count: int
    """Samples that the measure counts."""
    doubtful: int
    """Those that the second bundle reads too."""
    right: int

    @property
    def accuracy(self) -> float:
        """Share of samples that are read right."""
        return self.right / self.count

    @property
    def share(self) -> float:
        """Share of samples that the second bundle reads too."""
        return self.doubtful / self.count


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """All bounds, ascending, and the one to take."""

    bounds: tuple[Bound, ...]
    proposed: Bound
    """The lowest that loses at most the given points against the best; ``below`` is 0 where the
    second bundle isn't worth asking."""

    def at(self, below: float) -> Bound:
        """The one nearest to ``below``."""
        return min(self.bounds, key=lambda bound: abs(bound.below - below))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "proposed": self.proposed.below,
            "bounds": [
                {**vars(bound), "accuracy": bound.accuracy, "share": bound.share}
                for bound in self.bounds
            ],
        }


def bounds_of(
    first: pa.Table,
    second: pa.Table,
    *,
    measure: Measure = "exact",
    points: float = 0.3,
    surer: bool = False,
) -> Bounds:
    """What the two bundles' predictions of the same samples make of every bound.

    Args:
        first: of ``PREDICTION_SCHEMA``, of the bundle that reads everything.
        second: the same, of the one that reads what is doubtful.
        measure: what counts as right.
        points: of accuracy, percent, that the proposed bound may lose against the best one.
        surer: as ``crnn.inference.doubt.Then.surer``.

    Raises:
        DataError: when they aren't of the same samples, or the measure counts none.
        ValueError: for points below 0.
    """
    if not points >= 0:
        raise ValueError(f"points is {points}; expected at least 0")
    first, second = same_samples(first, second)
    counted = first[MEASURES[measure]].is_valid().to_numpy()
    if not counted.any():
        raise DataError(f"no sample's label counts by {measure!r}; expected labelled samples")
    right, right_then = (_right(table, measure)[counted] for table in (first, second))
    stays = np.array([not text for text in second["text"].to_pylist()])[counted]
    was_read = first["log_probability"].is_valid().to_numpy()[counted]
    confidences = np.where(was_read, first["confidence"].to_numpy()[counted], np.inf)
    if surer:
        stays |= ~(second["confidence"].to_numpy()[counted] > confidences)
    gains = np.where(stays, 0, right_then.astype(int) - right.astype(int))
    return _proposed(_all_bounds(confidences, gains, int(right.sum())), points)


def _right(table: pa.Table, measure: Measure) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = table[MEASURES[measure]].fill_null(False).to_numpy()
    return right


def _all_bounds(
    confidences: NDArray[np.float64], gains: NDArray[np.int64], right: int
) -> list[Bound]:
    """``gains``: of each sample, what asking the second bundle adds to the right ones."""
    order = np.argsort(confidences, kind="stable")
    ascending = confidences[order]
    total = np.concatenate([[0], np.cumsum(gains[order])])
    found = []
    for step in range(STEPS + 1):
        below = step / STEPS
        doubtful = int(np.searchsorted(ascending, below, side="left"))
        found.append(
            Bound(
                below=below,
                count=len(confidences),
                doubtful=doubtful,
                right=right + int(total[doubtful]),
            )
        )
    return found


def _proposed(bounds: Sequence[Bound], points: float) -> Bounds:
    best = max(bound.accuracy for bound in bounds)
    enough = (bound for bound in bounds if bound.accuracy >= best - points / 100 - 1e-12)
    return Bounds(bounds=tuple(bounds), proposed=next(enough))
