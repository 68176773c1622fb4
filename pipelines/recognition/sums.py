"""What the report says of results files, as sums and places of rows that add up.

Each results file has the sums of its rows in its metadata: a report reads the end of a file, and no
rows but those that it shows. Files of earlier versions have none, and are read in full.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn.files import storage
from pipelines.ledger import of_parquet
from pipelines.recognition.finished import of_parts

CONFIDENCE_BINS = 20
LEAST_CONFIDENT = 48
ERROR_EXAMPLES = 10
_COUNTED = ["text", "confidence", "error_code", "model"]
_METADATA = b"crnn.recognition"
_FORMAT = 1


class ResultRow(NamedTuple):
    """A row of a results file; the least confident come first."""

    confidence: float
    part: str
    """Name of the file."""
    place: int


@dataclass(kw_only=True)
class ResultSums:
    """Sums of one results file or of several."""

    rows: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    """Rows read, by the bundle's digest."""
    lengths: Counter[int] = field(default_factory=Counter)
    confidences: np.ndarray = field(
        default_factory=lambda: np.zeros(CONFIDENCE_BINS, dtype=np.int64)
    )
    doubtful: list[ResultRow] = field(default_factory=list)
    """The least confident."""
    failed: defaultdict[str, list[ResultRow]] = field(default_factory=lambda: defaultdict(list))
    """The first rows of each error, by file and place."""

    @classmethod
    def of(cls, part: str, table: pa.Table) -> ResultSums:
        """Those of a results file with this name and these rows."""
        known = table["confidence"].drop_null().to_numpy()
        read = np.flatnonzero(pc.is_null(table["error_code"]).to_numpy())
        certain = read[pc.is_valid(table["confidence"].take(read)).to_numpy()]
        confidences = table["confidence"].take(certain).to_numpy().astype(np.float64)
        least = np.argsort(confidences, kind="stable")[:LEAST_CONFIDENT]
        sums = cls(
            rows=len(table),
            models=_counts(table["model"].take(read)),
            lengths=_counts(pc.utf8_length(table["text"].take(read))),
            confidences=np.histogram(known, bins=CONFIDENCE_BINS, range=(0, 1))[0],
            doubtful=[ResultRow(float(confidences[i]), part, int(certain[i])) for i in least],
        )
        codes = table["error_code"].to_pylist()
        for place in np.flatnonzero(pc.is_valid(table["error_code"]).to_numpy()).tolist():
            sums.errors[codes[place]] += 1
            if len(sums.failed[codes[place]]) < ERROR_EXAMPLES:
                sums.failed[codes[place]].append(ResultRow(0.0, part, place))
        return sums

    def add(self, other: ResultSums) -> None:
        """Those of other files, in any order."""
        self.rows += other.rows
        self.errors.update(other.errors)
        self.models.update(other.models)
        self.lengths.update(other.lengths)
        self.confidences = self.confidences + other.confidences
        self.doubtful = heapq.nsmallest(LEAST_CONFIDENT, [*self.doubtful, *other.doubtful])
        for code, rows in other.failed.items():
            self.failed[code] = heapq.nsmallest(ERROR_EXAMPLES, [*self.failed[code], *rows])

    def commonest_errors(self) -> list[tuple[str, int]]:
        """Code and count; of equal counts the one that comes first in the results."""
        return sorted(self.errors.items(), key=lambda one: (-one[1], self.failed[one[0]][0]))

    def _to_json(self) -> bytes:
        about = {
            "format": _FORMAT,
            "rows": self.rows,
            "errors": self.errors,
            "models": list(self.models.items()),
            "lengths": list(self.lengths.items()),
            "confidences": self.confidences.tolist(),
            "doubtful": [(row.confidence, row.place) for row in self.doubtful],
            "failed": {code: [row.place for row in rows] for code, rows in self.failed.items()},
        }
        return json.dumps(about, separators=(",", ":")).encode()

    @classmethod
    def _from_json(cls, part: str, data: bytes, rows: int) -> ResultSums | None:
        """None for what this version doesn't write of a file with so many rows."""
        about = json.loads(data)
        if (about.get("format"), about.get("rows")) != (_FORMAT, rows):
            return None
        sums = cls(
            rows=rows,
            errors=Counter(about["errors"]),
            models=Counter(dict(about["models"])),
            lengths=Counter(dict(about["lengths"])),
            confidences=np.array(about["confidences"], dtype=np.int64),
            doubtful=[
                ResultRow(confidence, part, place) for confidence, place in about["doubtful"]
            ],
        )
        for code, places in about["failed"].items():
            sums.failed[code] = [ResultRow(0.0, part, place) for place in places]
        return sums


class Summed:
    """Sums of the results files that were written so far, each file once."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The files are others now."""
        self._sums, self._parts = ResultSums(), set[str]()

    def add(self, part: str, sums: ResultSums) -> None:
        """Take in a file's sums, unless they are in already."""
        if part not in self._parts:
            self._parts.add(part)
            self._sums.add(sums)

    def of(self, addresses: Sequence[str]) -> ResultSums:
        """The sums of these files; of those that weren't added, as they say themselves.

        Raises:
            DataError: when a results file can't be read.
        """
        names = {storage.base_name(address): address for address in addresses}
        if not self._parts <= names.keys():  # somebody has taken files away
            self.forget()
        left = [address for name, address in names.items() if name not in self._parts]
        for address, sums in of_parts(left, _sums_of):
            self.add(storage.base_name(address), sums)
        return self._sums


def as_file(table: pa.Table, sums: ResultSums) -> pa.Buffer:
    """A results file of these rows, whose sums these are."""
    file = pa.BufferOutputStream()
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_METADATA: sums._to_json()})
    return file.getvalue()


def _sums_of(address: str) -> ResultSums:
    name = storage.base_name(address)

    def read(part: pq.ParquetFile) -> ResultSums:
        said = (part.metadata.metadata or {}).get(_METADATA)
        sums = None if said is None else ResultSums._from_json(name, said, part.metadata.num_rows)
        return sums or ResultSums.of(name, part.read(columns=_COUNTED))

    return of_parquet(address, read)


def _counts(values: pa.ChunkedArray | pa.Array) -> Counter:
    found: Iterable[dict] = pc.value_counts(values).to_pylist()
    return Counter({entry["values"]: entry["counts"] for entry in found})
