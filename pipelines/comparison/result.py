"""A comparison: of each trait how every set has it, and how far that is from the first set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.comparison.distance import Numbers, distance, uncovered
from pipelines.comparison.settings import CompareConfig
from pipelines.comparison.traits import TRAITS
from pipelines.inspection.inputs import DataSet

MOST_SETS = 6
"""More histograms in one plot can't be told apart."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_BINS = 30
_SHOWN = (0.5, 99.5)
"""Percentiles of each set that the histogram reaches; what lies beyond is in its outer bins."""
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One trait of one set."""

    samples: int
    """Those that have it."""
    mean: float | None
    deviation: float | None
    percentiles: tuple[float, ...]
    """Those of ``PERCENTILES``; none where no sample has the trait."""
    counts: tuple[int, ...]
    """Samples in the bins that all sets share."""
    distance: float | None
    """From the first set, see ``pipelines.comparison.distance.distance``."""
    uncovered: float | None
    """Share of the first set that this one hardly shows, see ``distance.uncovered``."""


@dataclass(frozen=True, kw_only=True)
class TraitReport:
    """One trait of all sets, over common bins."""

    edges: tuple[float, ...]
    """Where bins begin, and the last one ends; the outer ones take what lies beyond."""
    sets: tuple[Summary, ...]
    """In the order of the sets."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All there is to tell of sets laid beside the first of them."""

    config: CompareConfig
    sets: tuple[DataSet, ...]
    samples: tuple[int, ...]
    """Pictures measured, of each set."""
    skipped: tuple[Mapping[str, int], ...]
    """For each set, the rows without a measurable picture, by reason."""
    traits: Mapping[str, TraitReport]

    def mean_distance(self, number: int) -> float | None:
        """Mean distance of set ``number`` from the first, over the traits that have one."""
        found = [trait.sets[number].distance for trait in self.traits.values()]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; distances are in standard deviations of the first set."""
        return {
            "height": self.config.height,
            "limit": self.config.limit,
            "sets": [
                {
                    "name": data.name,
                    "uri": data.uri,
                    "format": data.format,
                    "digest": data.digest,
                    "samples": self.samples[number],
                    "skipped": dict(sorted(self.skipped[number].items())),
                    "mean_distance": self.mean_distance(number),
                }
                for number, data in enumerate(self.sets)
            ],
            "traits": {
                name: {
                    "unit": TRAITS[name].axis,
                    "method": TRAITS[name].method,
                    "edges": list(report.edges),
                    "sets": {
                        data.name: summary_dict(summary)
                        for data, summary in zip(self.sets, report.sets, strict=True)
                    },
                }
                for name, report in self.traits.items()
            },
        }


def compared(
    sets: Sequence[DataSet],
    config: CompareConfig,
    *,
    values: Sequence[Mapping[str, Numbers]],
    skipped: Sequence[Mapping[str, int]],
) -> Comparison:
    """Sum up what was measured: of each set, by trait, the values of the samples that have it."""
    return Comparison(
        config=config,
        sets=tuple(sets),
        samples=tuple(len(of_set["height_px"]) for of_set in values),
        skipped=tuple(skipped),
        traits={
            name: trait_report([of_set[name] for of_set in values], unit=trait.unit)
            for name, trait in TRAITS.items()
        },
    )


def trait_report(values: Sequence[Numbers], *, unit: float = 0.0) -> TraitReport:
    """One trait of all sets; where its values are multiples of a ``unit``, so are its bins."""
    edges = _edges([v for v in values if len(v)], unit=unit)
    return TraitReport(
        edges=edges, sets=tuple(_summary(v, values[0], edges) for v in values)
    )  # fmt: skip


def _summary(values: Numbers, first: Numbers, edges: Sequence[float]) -> Summary:
    there = len(values) > 0
    which = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(0, len(edges) - 2))
    return Summary(
        samples=len(values),
        mean=float(values.mean()) if there else None,
        deviation=float(values.std()) if there else None,
        percentiles=tuple(np.percentile(values, PERCENTILES).tolist()) if there else (),
        counts=tuple(np.bincount(which, minlength=len(edges) - 1).tolist()) if edges else (),
        distance=distance(first, values),
        uncovered=uncovered(first, values),
    )


def _edges(values: Sequence[Numbers], *, unit: float) -> tuple[float, ...]:
    """At most ``_BINS`` bins of a round width over what all sets have."""
    if not values:
        return ()
    ends = [np.percentile(v, _SHOWN) for v in values]
    low, high = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))
    step = _round_step((high - low) / (_BINS - 1) or abs(high) or 1.0, unit)
    first, last = math.floor(low / step), math.floor(high / step) + 1
    return tuple(round(float(n * step), 10) for n in range(first, last + 1))


def _round_step(least: float, unit: float) -> float:
    """The least round width of ``least`` or more; a multiple of ``unit`` where there is one."""
    if unit:
        return unit * max(1, math.ceil(least / unit - 0.001))
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in _STEPS if factor * power >= least * 0.999)


def summary_dict(summary: Summary) -> dict[str, Any]:
    """For JSON."""
    return {
        "samples": summary.samples,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "percentiles": dict(zip(map(str, PERCENTILES), summary.percentiles, strict=False)),
        "counts": list(summary.counts),
        "distance": summary.distance,
        "uncovered": summary.uncovered,
    }
