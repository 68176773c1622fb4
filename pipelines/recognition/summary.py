"""What lies in the results, counted: ``_report.json``, written last."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow.compute as pc

from crnn import storage
from crnn.bundle import Bundle
from pipelines.recognition.plan import Ledger
from pipelines.recognition.sweep import read_part

REPORT_FILE = "_report.json"
CONFIDENCE_BINS = 20
_LEAST_CONFIDENT = 100


def summarise(ledger: Ledger, *, bundle: Bundle) -> dict[str, Any]:
    """Counts over all rows of this bundle, one results file at a time in memory."""
    rows, errors = 0, Counter[str]()
    histogram = np.zeros(CONFIDENCE_BINS, dtype=np.int64)
    doubtful: list[tuple[float, str, str]] = []
    for address in ledger.parts():
        table = read_part(address, ["uri", "text", "confidence", "error_code"])
        rows += len(table)
        for entry in pc.value_counts(table["error_code"].drop_null()).to_pylist():
            errors[entry["values"]] += entry["counts"]
        read = table.filter(pc.is_null(table["error_code"]))
        confidences = read["confidence"].to_numpy()
        histogram += np.histogram(confidences, bins=CONFIDENCE_BINS, range=(0, 1))[0]
        least = read.take(np.argsort(confidences)[:_LEAST_CONFIDENT])
        columns = (least[name].to_pylist() for name in ("confidence", "uri", "text"))
        doubtful = sorted([*doubtful, *zip(*columns, strict=True)])[:_LEAST_CONFIDENT]
    return {
        "model": {"name": bundle.name, "digest": bundle.digest},
        "results": ledger.results_uri,
        "rows": rows,
        "read": rows - errors.total(),
        "errors": dict(errors.most_common()),
        "confidence_histogram": histogram.tolist(),
        "least_confident": [
            {"uri": uri, "text": text, "confidence": round(confidence, 4)}
            for confidence, uri, text in doubtful
        ],
    }


def write_summary(report: dict[str, Any], out_uri: str) -> None:
    """Puts ``_report.json`` in place: from then on the results are complete."""
    data = json.dumps(report, indent=1, ensure_ascii=False).encode()
    storage.write_bytes(storage.join(out_uri, REPORT_FILE), data)
