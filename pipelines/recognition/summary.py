"""What lies in the results, counted: ``_report.html``, then ``_report.json``, written last."""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crnn.bundle.bundle import Bundle
from crnn.files import storage
from crnn.inference.doubt import Then
from pipelines.recognition.finished import REPORT_FILE, read_part, read_parts
from pipelines.recognition.page import PictureOf, page
from pipelines.recognition.plan import Ledger
from pipelines.recognition.rows import Counted

HTML_FILE = "_report.html"
CONFIDENCE_BINS = 20
LEAST_CONFIDENT = 48
ERROR_EXAMPLES = 10
_COUNTED = ["text", "confidence", "error_code", "model"]
_SHOWN = ["uri", "page", "region", "text", "confidence", "chars", "error_message"]


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """What the run did that leaves this report."""

    pictures: int = 0
    """Inputs read in it."""
    counted: Counted | None = None
    """Their pages and lines, where it has read whole pages."""
    seconds: float = 0.0
    """Seconds spent reading."""
    started: str = ""
    """ISO 8601, UTC."""
    finished: str = ""
    """ISO 8601, UTC."""

    def to_dict(self) -> dict[str, Any]:
        """As in the report; the rate is null where nothing was read."""
        rate = self.pictures / self.seconds if self.pictures and self.seconds else None
        found = {**vars(self), "pictures_per_s": rate}
        counted = found.pop("counted")
        if counted is not None:
            pace = counted.pages / self.seconds if counted.pages and self.seconds else None
            found |= {**counted._asdict(), "pages_per_s": pace}
        return found


def summarise(
    ledger: Ledger, *, bundle: Bundle, then: Then | None = None, run: RunFigures | None = None
) -> dict[str, Any]:
    """Counts over all rows of this bundle, and examples; a few results files at a time in memory.

    Of a cascade, ``read_by`` says how many rows each of the two bundles has read.

    The confidences are of all readings, those that an error calls too unsure included.

    Raises:
        DataError: when a results file can't be read.
    """
    count = _Count()
    bundles = (bundle, then.bundle) if then else (bundle,)
    parts = ledger.parts()
    for address, table in read_parts(parts, _COUNTED):
        count.take_in(address, table)
    rows = _rows([*count.doubtful, *(row for found in count.failed.values() for row in found)])
    return {
        "model": {
            "name": then.name(bundle) if then else bundle.name,
            "digest": then.digest(bundle) if then else bundle.digest,
        },
        "read_by": [
            {"name": one.name, "digest": one.digest, "read": count.models[one.digest]}
            for one in bundles
        ],
        "results": ledger.results_uri,
        "files": len(parts),
        "rows": count.rows,
        "read": count.rows - count.errors.total(),
        "empty_texts": count.lengths[0],
        "run": (run or RunFigures()).to_dict(),
        "errors": dict(count.errors.most_common()),
        "error_examples": {
            code: [_example(rows[row]) for row in count.failed[code]]
            for code, _ in count.errors.most_common()
        },
        "confidence_histogram": count.confidences.tolist(),
        "length_histogram": {str(n): count.lengths[n] for n in sorted(count.lengths)},
        "least_confident": [_doubtful(rows[row]) for row in sorted(count.doubtful)],
    }


def write_summary(
    report: dict[str, Any], out_uri: str, picture: PictureOf = lambda uri, region: None
) -> str:
    """Puts the page, then ``_report.json`` in place: from then on the results are complete.

    ``picture`` gives the picture of a row, cut out where it has a region, or None where it can't
    be shown. Returns the address of the page.

    Raises:
        DataError: when they can't be written.
    """
    address = storage.join(out_uri, HTML_FILE)
    storage.write_bytes(address, page(report, picture).encode())
    data = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False).encode()
    storage.write_bytes(storage.join(out_uri, REPORT_FILE), data)
    return address


class _Row(NamedTuple):
    """A row of a results file; the least confident come first."""

    confidence: float
    address: str
    place: int


@dataclass
class _Count:
    """Sums over the results files that were taken in."""

    rows: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    """Rows read, by the bundle's digest."""
    lengths: Counter[int] = field(default_factory=Counter)
    confidences: np.ndarray = field(
        default_factory=lambda: np.zeros(CONFIDENCE_BINS, dtype=np.int64)
    )
    doubtful: list[_Row] = field(default_factory=list)
    failed: defaultdict[str, list[_Row]] = field(default_factory=lambda: defaultdict(list))

    def take_in(self, address: str, table: pa.Table) -> None:
        """A results file with the columns ``_COUNTED``."""
        self.rows += len(table)
        known = table["confidence"].drop_null().to_numpy()
        self.confidences += np.histogram(known, bins=CONFIDENCE_BINS, range=(0, 1))[0]
        read = np.flatnonzero(pc.is_null(table["error_code"]).to_numpy())
        certain = read[pc.is_valid(table["confidence"].take(read)).to_numpy()]
        confidences = table["confidence"].take(certain).to_numpy().astype(np.float64)
        for entry in pc.value_counts(pc.utf8_length(table["text"].take(read))).to_pylist():
            self.lengths[entry["values"]] += entry["counts"]
        for entry in pc.value_counts(table["model"].take(read)).to_pylist():
            self.models[entry["values"]] += entry["counts"]
        least = np.argsort(confidences, kind="stable")[:LEAST_CONFIDENT]
        rows = (_Row(float(confidences[i]), address, int(certain[i])) for i in least)
        self.doubtful = heapq.nsmallest(LEAST_CONFIDENT, [*self.doubtful, *rows])
        self._take_in_errors(address, table["error_code"])

    def _take_in_errors(self, address: str, codes: pa.ChunkedArray) -> None:
        for index in np.flatnonzero(pc.is_valid(codes).to_numpy()):
            code = codes[int(index)].as_py()
            self.errors[code] += 1
            if len(self.failed[code]) < ERROR_EXAMPLES:
                self.failed[code].append(_Row(0.0, address, int(index)))


def _rows(wanted: Sequence[_Row]) -> dict[_Row, dict[str, Any]]:
    """The columns ``_SHOWN`` of some rows, from the files that have them."""
    by_file: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in wanted:
        by_file[row.address].append(row)
    found: dict[_Row, dict[str, Any]] = {}
    for address, rows in by_file.items():
        table = read_part(address, _SHOWN).take([row.place for row in rows])
        found |= zip(rows, table.to_pylist(), strict=True)
    return found


def _example(row: dict[str, Any]) -> dict[str, Any]:
    place = {"uri": row["uri"], "region": plain(row["region"])}
    page = {"page": row["page"]} if "page" in row else {}
    return {**place, **page, "message": row["error_message"]}


def _doubtful(row: dict[str, Any]) -> dict[str, Any]:
    names = ("uri", "page", "region", "text", "confidence", "chars")
    return {name: plain(row[name]) for name in names if name in row}


def plain(value: Any) -> Any:
    """As JSON takes it: numbers in short, one that is no number as null."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return value
