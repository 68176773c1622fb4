"""How far apart two samples of one quantity are.

The 1-Wasserstein or earth mover's distance (Rubner, Tomasi and Guibas, The earth mover's distance
as a metric for image retrieval, 2000): how far the values must be moved on average to turn one
distribution into the other. In one dimension it is the area between the two distribution functions
(Ramdas, García Trillos and Cuturi, On Wasserstein two-sample testing, 2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

BEYOND = (1, 99)
"""Percentiles of a set beyond which it hardly has anything."""


def wasserstein(one: Numbers, other: Numbers) -> float:
    """In the values' own unit; 0 for equal distributions. Neither may be empty."""
    values = np.sort(np.concatenate([one, other]))
    below = [
        np.searchsorted(np.sort(sample), values[:-1], side="right") / len(sample)
        for sample in (one, other)
    ]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(values)))


def distance(first: Numbers, other: Numbers) -> float | None:
    """``wasserstein`` in standard deviations of ``first``: other by 0.1 of the spread is alike.

    None where there is no unit: one of them is empty, or all values of ``first`` are equal and
    those of ``other`` aren't the same.
    """
    if not len(first) or not len(other):
        return None
    apart, unit = wasserstein(first, other), float(first.std())
    if not apart:
        return 0.0
    return apart / unit if unit else None


def uncovered(first: Numbers, other: Numbers) -> float | None:
    """Share of ``first`` beyond the middle 98% of ``other``: what ``other`` hardly shows.

    About 2% for samples of one distribution. None where one of them is empty.
    """
    if not len(first) or not len(other):
        return None
    low, high = np.percentile(other, BEYOND)
    return float(np.mean((first < low) | (first > high)))
