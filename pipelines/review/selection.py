"""Which rows of a bulk job's results a person should look at. Needs neither Ray nor the bundle."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crnn.files import storage
from pipelines.recognition.finished import PLACE, check_finished, key_of, read_part, results_at
from pipelines.review.beside import Beside
from pipelines.review.config import DIFFERENT, ReviewConfig
from pipelines.review.kinds import farthest_first, kind_of

_JUDGED = [*PLACE, "confidence", "text"]
_COMPARED = 50_000
"""Readings of which the most different ones are found: a random sample where there are more."""
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
    kinds: dict[str, tuple[int, int]]
    """Rows taken of each kind, and those that fit; empty where kinds don't count."""


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
    kinds = Counter[str]()
    for address in parts:
        table = read_part(address, _JUDGED)
        ranks = _doubtful(table, config) if beside is None else beside.differing(table)
        candidates = list(_candidates(address, table, ranks, config))
        total, found = total + len(table), found + len(candidates)
        kinds.update(candidate.kind for candidate in candidates)
        best = _first([*best, *candidates], config)
    newest = {c.key: c for c in sorted(best, key=lambda c: c.address)}  # of an input read again
    taken = list(islice(_in_order(sorted(newest.values()), config), config.limit))
    rows = _rows(taken)
    if beside is not None:
        rows = [row | {"other": beside.of(row)} for row in rows]
    of_kinds = Counter(candidate.kind for candidate in taken) if config.per_kind else Counter()
    return Selection(
        results_uri=folder,
        rows=rows,
        found=found,
        total=total,
        kinds={kind: (of_kinds[kind], kinds[kind]) for kind in sorted(kinds)} if of_kinds else {},
    )


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
    text: str
    """Empty unless ``different`` needs it."""
    kind: str


def _doubtful(table: pa.Table, config: ReviewConfig) -> Iterator[tuple[int, float, bytes]]:
    """Place, rank and key of rows under the confidence; those without one, if wanted, count as 0.

    The rank of a sample is 0: the keys look random.
    """
    confidences = pc.fill_null(table["confidence"], 0.0 if config.errors else math.inf).to_numpy()
    places = np.flatnonzero(confidences < config.below)
    there = [name for name in PLACE if name in table.column_names]
    rows = table.select(there).take(places).to_pylist()
    for place, row in zip(places.tolist(), rows, strict=True):
        rank = float(confidences[place]) if config.order == "confidence" else 0.0
        yield place, rank, key_of(row)


def _candidates(
    address: str,
    table: pa.Table,
    ranks: Iterator[tuple[int, float, bytes]],
    config: ReviewConfig,
) -> Iterator[_Candidate]:
    """Those that fit, each with its kind where kinds count."""
    uris, texts = table["uri"], table["text"]
    for place, rank, key in ranks:
        text = (texts[place].as_py() or "") if config.per_kind or config.order == DIFFERENT else ""
        kind = kind_of(config.kind, uris[place].as_py(), text) if config.per_kind else ""
        yield _Candidate(rank, key, address, place, text, kind)


def _first(candidates: list[_Candidate], config: ReviewConfig) -> list[_Candidate]:
    """Those that may still be taken, however many follow; for ``different`` a random sample of as
    many as can be compared."""
    if config.order == DIFFERENT:
        return heapq.nsmallest(_COMPARED, candidates)
    if not config.per_kind:
        return heapq.nsmallest(config.limit, candidates)
    return heapq.nsmallest(config.limit, _within_quota(sorted(candidates), config.per_kind))


def _in_order(candidates: Sequence[_Candidate], config: ReviewConfig) -> Iterator[_Candidate]:
    """In the order in which they are shown, no more of each kind than are wanted."""
    ordered = iter(candidates)
    if config.order == DIFFERENT and candidates:
        places = farthest_first([candidate.text for candidate in candidates], first=0)
        ordered = (candidates[place] for place in places)
    return _within_quota(ordered, config.per_kind) if config.per_kind else ordered


def _within_quota(candidates: Iterable[_Candidate], most: int) -> Iterator[_Candidate]:
    """The first ones of each kind, no more than ``most``."""
    taken = Counter[str]()
    for candidate in candidates:
        if taken[candidate.kind] < most:
            taken[candidate.kind] += 1
            yield candidate


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
