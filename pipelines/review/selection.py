"""Which rows of a bulk job's results a person should look at. Needs neither Ray nor the bundle."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crnn import storage
from crnn.errors import DataError
from pipelines.recognition.summary import REPORT_FILE
from pipelines.recognition.sweep import read_part
from pipelines.review.config import ReviewConfig

_FOLDER = "model="
_JUDGED = ["uri", "region", "confidence"]
_KEY_BYTES = 16
Row = dict[str, Any]
"""``uri, etag, region, text, confidence, chars, error_code, error_message``, as in the results."""


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
    folder, parts = _results(storage.absolute(results))
    if not config.unfinished:
        _check_finished(folder)
    total = found = 0
    best: list[_Candidate] = []
    for address in parts:
        table = read_part(address, _JUDGED)
        candidates = list(_candidates(address, table, config))
        total, found = total + len(table), found + len(candidates)
        best = heapq.nsmallest(config.limit, [*best, *candidates])
    newest = {c.key: c for c in sorted(best, key=lambda c: c.address)}  # of an input read again
    return Selection(
        results_uri=folder, rows=_rows(sorted(newest.values())), found=found, total=total
    )


class _Candidate(NamedTuple):
    """A row of a results file; the smaller, the sooner it is shown."""

    rank: float
    key: bytes
    address: str
    place: int


def _results(uri: str) -> tuple[str, list[str]]:
    """The ``model=…`` folder meant, and its files."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    try:
        for info in storage.list_files(uri, suffix=".parquet", recursive=True):
            folder = _parent(info.uri)
            if storage.base_name(folder).startswith(_FOLDER):
                by_folder[folder].append(info.uri)
    except FileNotFoundError:
        pass
    if not by_folder:
        raise DataError(
            f"there are no results at {uri}; expected the --output folder of jobs/recognize.py, "
            f"or a {_FOLDER}… folder in it"
        )
    if len(by_folder) > 1:
        found = "\n  ".join(sorted(by_folder))
        raise DataError(f"{uri} has the results of several models; give one of\n  {found}")
    return next(iter(by_folder.items()))


def _check_finished(folder: str) -> None:
    """Raises DataError unless the report beside the folder is about it."""
    address = storage.join(_parent(folder), REPORT_FILE)
    remedy = "run jobs/recognize.py again to complete them, or take them as they are: --unfinished"
    try:
        digest = json.loads(storage.read_bytes(address))["model"]["digest"]
    except FileNotFoundError:
        raise DataError(f"the results {folder} are unfinished: no {address}; {remedy}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{address} is no report of a bulk job: {error!r}; {remedy}") from error
    wanted = storage.base_name(folder).removeprefix(_FOLDER)
    if not str(digest).startswith(wanted):
        raise DataError(
            f"{address} is about model {str(digest)[: len(wanted)]}, so whether {folder} is "
            f"complete is not known; {remedy}"
        )


def _candidates(address: str, table: pa.Table, config: ReviewConfig) -> Iterator[_Candidate]:
    """Rows under the confidence; those without one, if wanted, count as 0."""
    confidences = pc.fill_null(table["confidence"], 0.0 if config.errors else math.inf).to_numpy()
    places = np.flatnonzero(confidences < config.below)
    rows = table.select(["uri", "region"]).take(places).to_pylist()
    for place, row in zip(places.tolist(), rows, strict=True):
        rank = float(confidences[place]) if config.order == "confidence" else 0.0
        yield _Candidate(rank, _key(row), address, place)


def _key(row: Row) -> bytes:
    """Decides between equals: random, and the same whenever it is asked."""
    place = f"{row['uri']}\0{row['region']}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(place, digest_size=_KEY_BYTES).digest()


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


def _parent(uri: str) -> str:
    bare, options = storage.split_options(uri)
    return bare.rstrip("/").rpartition("/")[0] + options
