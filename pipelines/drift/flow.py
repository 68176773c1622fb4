"""Two results from end to end: rows read once, matched by picture, summed up, written down."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from pipelines.comparison.write import CHANGED_NAME, begin, put
from pipelines.drift.buckets import BUCKETS, KEY, HashBuckets, with_keys
from pipelines.drift.changes import CHANGED_SCHEMA, Changes
from pipelines.drift.page import page
from pipelines.drift.result import Drift, ResultsSource
from pipelines.drift.side import SideCounts
from pipelines.ledger import gathered
from pipelines.recognition.finished import (
    FOLDER,
    PLACE,
    REPORT_FILE,
    WORK_FOLDER,
    check_finished,
    read_parts,
    results_at,
)
from pipelines.recognition.rows import PAGE_SCHEMA, as_results
from pipelines.set_names import set_names

_READ = [*PLACE, "etag", "text", "confidence", "error_code", "model"]
_SCHEMA = pa.schema([KEY, *(PAGE_SCHEMA.field(name) for name in _READ)])
_ROWS = 65_536
"""Rows that are counted and put into buckets together."""
_REMEDY = "run jobs/recognize.py again to complete them, or take them as they are: --unfinished"


class Progress(NamedTuple):
    """Files of results read, of both sides."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Two results that were found; ``carry_out`` lays them beside each other."""

    first: ResultsSource
    second: ResultsSource


def is_results(uri: str) -> bool:
    """Whether a bulk job has written there, complete or not; nothing is listed to tell."""
    if storage.base_name(uri.rstrip("/")).startswith(FOLDER):
        return True
    return any(storage.exists(storage.join(uri, name)) for name in (REPORT_FILE, WORK_FOLDER))


def plan_drift(first: str, second: str, *, unfinished: bool = False) -> Planned:
    """Find the results: output folders of bulk jobs, or ``model=…`` folders in them.

    Raises:
        DataError: when there are no results, those of several models, or, unless ``unfinished``,
            they aren't complete.
        ValueError: when both are the same.
    """
    names = list(set_names([first, second]))
    found = []
    for name, uri in zip(names, (first, second), strict=True):
        folder, parts = results_at(storage.absolute(uri))
        if not unfinished:
            check_finished(folder, _REMEDY)
        found.append(ResultsSource(name=name, uri=folder, parts=tuple(parts)))
    if found[0].uri == found[1].uri:
        raise ValueError(f"{first} and {second} are the same results, {found[0].uri}; give others")
    return Planned(first=found[0], second=found[1])


def carry_out(
    planned: Planned, out_uri: str, report: Callable[[Progress], None] = lambda _: None
) -> tuple[Drift, str]:
    """Compare, and write ``changed.parquet``, ``comparison.html`` and, last, ``comparison.json``.

    Rows go through local disk once, in the folder for temporary files.

    Returns what was found, and the address of the page.

    Raises:
        DataError: when results can't be read, or the comparison not be written.
    """
    begin(out_uri)
    sources = (planned.first, planned.second)
    sides = (SideCounts(), SideCounts())
    total, done = sum(len(source.parts) for source in sources), 0
    with tempfile.TemporaryDirectory(prefix="crnn-drift-") as folder:
        both = [HashBuckets(Path(folder) / str(number), _SCHEMA) for number in range(2)]
        for source, side, buckets in zip(sources, sides, both, strict=True):
            with buckets:
                for table, files in _tables(source.parts):
                    keyed, numbers = with_keys(table)
                    side.take_in(keyed, numbers)
                    buckets.write(keyed, numbers)
                    done += files
                    report(Progress(done, total))
        changes = _matched(both[0], both[1], storage.join(out_uri, CHANGED_NAME))
    for source, side in zip(sources, sides, strict=True):
        if not side.rows:
            raise DataError(f"{source.uri} has no rows; expected the results of a bulk job")
    below = min(side.limit() for side in sides)
    for side in sides:
        side.thin(below)
    drift = Drift(sources=sources, sides=sides, changes=changes)
    return drift, put(out_uri, page(drift), drift.to_dict())


def _tables(parts: Sequence[str]) -> Iterator[tuple[pa.Table, int]]:
    """Rows of all files, some tens of thousands at a time, and how many files were begun since."""
    files = 0

    def each() -> Iterator[pa.Table]:
        nonlocal files
        for _, table in read_parts(parts, _READ):
            files += 1
            yield as_results(table, PAGE_SCHEMA).select(_READ)

    for table in gathered(each(), _ROWS):
        yield table.combine_chunks(), files
        files = 0


def _matched(first: HashBuckets, second: HashBuckets, address: str) -> Changes:
    changes = Changes()
    with (
        storage.replacing(address) as path,
        pq.ParquetWriter(path, CHANGED_SCHEMA, compression="zstd") as writer,
    ):
        for number in range(BUCKETS):
            changed = changes.take_in(first.read(number), second.read(number))
            if len(changed):
                writer.write_table(changed)
    return changes
