"""A comparison from end to end: sets found, every sample measured on Ray, summed up.

Some tens of bytes of each sample stay on the driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import ray

from crnn.errors import DataError, PictureError
from crnn.text.charset import normalise
from pipelines.comparison.result import MOST_SETS, Comparison, compared
from pipelines.comparison.settings import CompareConfig
from pipelines.comparison.traits import TRAITS, Measured, measure
from pipelines.inspection.inputs import DataSet, Piece, find_sets
from pipelines.inspection.passes import Listed, Progress, Report, over
from pipelines.inspection.reading import PieceReader, SampleRow


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A comparison whose sets were found sound; ``carry_out`` runs it."""

    sets: tuple[DataSet, ...]
    config: CompareConfig


def compare(
    uris: Sequence[str], config: CompareConfig, report: Report = lambda _: None
) -> Comparison:
    """``plan_comparison``, then ``carry_out``; see there."""
    return carry_out(plan_comparison(uris, config), report)


def plan_comparison(uris: Sequence[str], config: CompareConfig) -> Planned:
    """Find the sets, without Ray.

    Args:
        uris: prepared sets, folders of their splits, or sources; the first one is what the others
            are laid beside.
        config: how they are read.

    Raises:
        DataError: for an address with nothing there, an unfinished or incomplete set, a source of
            no known format.
        ValueError: when they are fewer than two sets or more than ``MOST_SETS``, or one is given
            twice.
    """
    sets = tuple(find_sets(uris, config))
    if not 2 <= len(sets) <= MOST_SETS:
        named = ", ".join(data.uri for data in sets) or "none"
        raise ValueError(
            f"the sets to compare are {named}; expected 2 to {MOST_SETS} of them (a folder of "
            "prepared splits counts as one set for each split: name the split)"
        )
    return Planned(sets=sets, config=config)


def carry_out(planned: Planned, report: Report = lambda _: None) -> Comparison:
    """Measure all that was planned; Ray must be initialised.

    Raises:
        DataError: a set has no picture that can be measured, a shard is damaged, or a store fails
            for good.
    """
    listed = Listed(planned.sets, planned.config.limit)
    totals = [_Total() for _ in planned.sets]
    done = 0
    for part in over(measurer, ray.put(planned), listed):
        totals[part.set].add(part)
        done += part.rows
        report(Progress(stage="measuring", done=done, total=listed.total, final=listed.is_final))
    for data, total in zip(planned.sets, totals, strict=True):
        if not total.parts:
            raise DataError(
                f"{data.uri} has no picture that can be measured; expected labelled pictures. "
                f"Set aside: {dict(total.skipped) or 'none'}"
            )
    return compared(
        planned.sets,
        planned.config,
        values=[total.values() for total in totals],
        skipped=[total.skipped for total in totals],
    )


class MeasuredPart(NamedTuple):
    """What one task measured."""

    set: int
    start: int
    rows: int
    measured: tuple[Measured, ...]
    skipped: Counter[str]
    """Rows without a picture to measure, by reason."""


def measurer(planned: Planned) -> Callable[[Piece], Iterator[MeasuredPart]]:
    """What a process does with its pieces."""
    cv2.setNumThreads(1)
    reader = PieceReader(planned.sets, planned.config)
    return lambda piece: iter([_measure(planned.config, reader, piece)])


def _measure(config: CompareConfig, reader: PieceReader, piece: Piece) -> MeasuredPart:
    measured, skipped = [], Counter[str]()
    for row in reader.rows(piece):
        reason = _unmeasurable(row)
        if reason:
            skipped[reason] += 1
            continue
        assert not isinstance(row.picture, PictureError)
        length = len(normalise(row.text).strip())
        measured.append(measure(row.picture, length, height=config.height))
    return MeasuredPart(piece.set, piece.start, piece.rows, tuple(measured), skipped)


def _unmeasurable(row: SampleRow) -> str:
    """Why there is nothing to measure, or nothing."""
    if row.reason:
        return row.reason
    return row.picture.reason if isinstance(row.picture, PictureError) else ""


@dataclass(kw_only=True)
class _Total:
    """The parts of one set, in any order."""

    parts: dict[int, tuple[Measured, ...]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, part: MeasuredPart) -> None:
        self.skipped.update(part.skipped)
        if part.measured:
            self.parts[part.start] = part.measured

    def values(self) -> dict[str, np.ndarray]:
        """Values of each trait for the samples that have it, in the set's order."""
        table = np.stack([row for start in sorted(self.parts) for row in self.parts[start]])
        columns = {name: table[:, place] for place, name in enumerate(TRAITS)}
        return {name: v[~np.isnan(v)].astype(np.float64) for name, v in columns.items()}
