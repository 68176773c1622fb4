"""How wide, how long and how dense the samples are: histograms, and buckets for the widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crnn.images.contract import PictureContract
from pipelines.inspection.buckets import WIDEST_PX, BucketChoice, measure, propose
from pipelines.inspection.tally import LABELLED, READABLE, Features

MOST_BINS = 24
_FACTORS = (1, 2, 4, 8, 16, 32, 64)
_INSIDE = 0.995
"""Share of the values outside the last, open bin."""
Numbers = NDArray[np.int64]


class Bin(NamedTuple):
    """How many samples lie from ``low`` up to, not including, ``high``."""

    low: float
    high: float | None
    """None: the last one, without an end."""
    samples: int


class Shape(NamedTuple):
    """Shapes of all pictures that decode."""

    width_px: Numbers
    """At the contract's height, the aspect kept."""
    length: Numbers
    """Visible length of its label; 0 if nothing is visible."""
    steps: Numbers
    """Fewest time steps that can hold the label."""


def shape(features: Sequence[Features]) -> Shape:
    """Shapes of all sets together."""
    parts = [f[(f["flags"] & READABLE) > 0] for f in features]
    width, length, steps, flags = (
        np.concatenate([np.empty(0, np.int64), *(p[name].astype(np.int64) for p in parts)])
        for name in ("width", "length", "steps", "flags")
    )
    labelled = (flags & LABELLED) > 0
    return Shape(width, np.where(labelled, length, 0), np.where(labelled, steps, 0))


def histograms(found: Shape, contract: PictureContract) -> Mapping[str, tuple[Bin, ...]]:
    """Histograms of width, label length, aspect ratio (width / height) and pixels per character."""
    labelled = found.length > 0
    length = found.length[labelled]
    return {
        "width_px": histogram(found.width_px, contract.height),
        "length": histogram(length, 1),
        "aspect": histogram(found.width_px / contract.height, 0.5),
        "px_per_character": histogram(found.width_px[labelled] / np.maximum(length, 1), 2),
    }


def histogram(values: NDArray[np.int64] | NDArray[np.float64], step: float) -> tuple[Bin, ...]:
    """Bins of a multiple of ``step`` from 0 on, at most ``MOST_BINS``; the last takes the rest."""
    if not len(values):
        return ()
    reach = float(np.quantile(values, _INSIDE)) / MOST_BINS
    width = next((step * f for f in _FACTORS if step * f > reach), step * _FACTORS[-1])
    which = np.minimum((values / width).astype(np.int64), MOST_BINS - 1)
    counts = np.bincount(which)
    first = int(np.flatnonzero(counts)[0])
    return tuple(
        Bin(n * width, None if n == MOST_BINS - 1 else (n + 1) * width, int(counts[n]))
        for n in range(first, len(counts))
    )


def best_buckets(found: Shape, number: int, *, widest_px: int = WIDEST_PX) -> BucketChoice:
    """The ``number`` widths that pad least, the largest at most ``widest_px``."""
    return measure(found.width_px, propose(found.width_px, number, widest_px=widest_px))


def too_long(found: Shape, widths: Sequence[int], time_steps: Callable[[int], int]) -> int:
    """Labels that the time steps of their picture's bucket can't hold."""
    edges = np.asarray(widths)
    bucket = np.searchsorted(edges, np.minimum(found.width_px, edges[-1]))
    steps = np.asarray([time_steps(int(width)) for width in edges])
    return int((found.steps > steps[bucket]).sum())
