"""Which rows of a bulk job's results a person should look at. Needs neither Ray nor the bundle."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crnn import storage
from pipelines.recognition.finished import PLACE, check_finished, key_of, read_part, results_at
from pipelines.review.beside import Beside
from pipelines.review.config import ReviewConfig

_JUDGED = [*PLACE, "confidence", "text"]
_REMEDY = "run jobs/recognize.py again to complete them, or take them as they are: --unfinished"
Row = dict[str, Any]
"""``uri, etag, region, text, confidence, chars, error_code, error_message``, as in the results;
``other`` (text, confidence) where another bundle's are laid beside."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The rows taken, in the order in which they are shown."""

    results_uri: str
    """The ``model=…`` folder."""
    rows: list[Row]
    found: int
    """Rows that fit; ``rows`` are the first of them."""
    total: int
    """Rows of the results."""


def select(results: str, config: ReviewConfig) -> Selection:
    """The rows to review, from the output folder of a bulk job or one of its ``model=…`` folders.

    Raises:
        DataError: when there are no results, those of several models, or they are unfinished.
    """
    folder, parts = results_at(storage.absolute(results))
    if not config.unfinished:
        check_finished(folder, _REMEDY)
    beside = _beside(config)
    total = found = 0
    best: list[_Candidate] = []
    for address in parts:
        table = read_part(address, _JUDGED)
        if beside is None:
            candidates = list(_candidates(address, table, config))
        else:
            found_here = beside.differing(table)
            candidates = [_Candidate(rank, key, address, place) for place, rank, key in found_here]
        total, found = total + len(table), found + len(candidates)
        best = heapq.nsmallest(config.limit, [*best, *candidates])
    newest = {c.key: c for c in sorted(best, key=lambda c: c.address)}  # of an input read again
    rows = _rows(sorted(newest.values()))
    if beside is not None:
        rows = [row | {"other": beside.of(row)} for row in rows]
    return Selection(results_uri=folder, rows=rows, found=found, total=total)


def _beside(config: ReviewConfig) -> Beside | None:
    if not config.beside:
        return None
    return Beside(config.beside, None if config.unfinished else _REMEDY)


class _Candidate(NamedTuple):
    """A row of a results file; the smaller, the sooner it is shown."""

    rank: float
    key: bytes
    address: str
    place: int


def _candidates(address: str, table: pa.Table, config: ReviewConfig) -> Iterator[_Candidate]:
    """Rows under the confidence; those without one, if wanted, count as 0."""
    confidences = pc.fill_null(table["confidence"], 0.0 if config.errors else math.inf).to_numpy()
    places = np.flatnonzero(confidences < config.below)
    there = [name for name in PLACE if name in table.column_names]
    rows = table.select(there).take(places).to_pylist()
    for place, row in zip(places.tolist(), rows, strict=True):
        rank = float(confidences[place]) if config.order == "confidence" else 0.0
        yield _Candidate(rank, key_of(row), address, place)


def _rows(candidates: Sequence[_Candidate]) -> list[Row]:
    """Whole rows, in the order of the candidates."""
    by_file: defaultdict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_file[candidate.address].append(candidate)
    found: dict[_Candidate, Row] = {}
    for address, some in by_file.items():
        table = read_part(address).take([candidate.place for candidate in some])
        found |= zip(some, table.to_pylist(), strict=True)
    return [found[candidate] for candidate in candidates]
