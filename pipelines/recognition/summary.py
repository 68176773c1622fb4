"""What lies in the results, counted: ``_report.html``, then ``_report.json``, written last."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crnn.bundle.bundle import Bundle
from crnn.files import storage
from crnn.inference.doubt import Then
from pipelines.recognition.finished import REPORT_FILE, read_part
from pipelines.recognition.page import PictureOf, page
from pipelines.recognition.plan import Ledger
from pipelines.recognition.rows import Counted
from pipelines.recognition.sums import ResultRow, Summed

HTML_FILE = "_report.html"
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
    ledger: Ledger,
    *,
    bundle: Bundle,
    then: Then | None = None,
    run: RunFigures | None = None,
    summed: Summed | None = None,
) -> dict[str, Any]:
    """Counts over all rows of this bundle, and examples.

    What ``summed`` has isn't looked up in the files, and no rows are read but the examples. Of a
    cascade, ``read_by`` says how many rows each of the two bundles has read.

    The confidences are of all readings, those that an error calls too unsure included.

    Raises:
        DataError: when a results file can't be read.
    """
    bundles = (bundle, then.bundle) if then else (bundle,)
    parts = ledger.parts()
    sums = (summed or Summed()).of(parts)
    errors = dict(sums.commonest_errors())
    wanted = [*sums.doubtful, *(row for found in sums.failed.values() for row in found)]
    rows = _rows(ledger.results_uri, wanted)
    return {
        "model": {
            "name": then.name(bundle) if then else bundle.name,
            "digest": then.digest(bundle) if then else bundle.digest,
        },
        "read_by": [
            {"name": one.name, "digest": one.digest, "read": sums.models[one.digest]}
            for one in bundles
        ],
        "results": ledger.results_uri,
        "files": len(parts),
        "rows": sums.rows,
        "read": sums.rows - sums.errors.total(),
        "empty_texts": sums.lengths[0],
        "run": (run or RunFigures()).to_dict(),
        "errors": errors,
        "error_examples": {
            code: [_example(rows[row]) for row in sums.failed[code]] for code in errors
        },
        "confidence_histogram": sums.confidences.tolist(),
        "length_histogram": {str(n): sums.lengths[n] for n in sorted(sums.lengths)},
        "least_confident": [_doubtful(rows[row]) for row in sums.doubtful],
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


def _rows(folder: str, wanted: Sequence[ResultRow]) -> dict[ResultRow, dict[str, Any]]:
    """The columns ``_SHOWN`` of some rows, from the files that have them."""
    by_file: defaultdict[str, list[ResultRow]] = defaultdict(list)
    for row in wanted:
        by_file[row.part].append(row)
    found: dict[ResultRow, dict[str, Any]] = {}
    for part, rows in by_file.items():
        table = read_part(storage.join(folder, part), _SHOWN).take([row.place for row in rows])
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
