"""What lies in the results of a bulk job."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.bundle.bundle import load_bundle
from crnn.files import storage
from pipelines.recognition import BulkConfig
from pipelines.recognition.finished import read_part
from pipelines.recognition.plan import Ledger
from pipelines.recognition.summary import summarise


def rows_of(out: str) -> list[dict[str, Any]]:
    """All rows of all results files."""
    infos = storage.list_files(out, suffix=".parquet", recursive=True)
    parts = [info.uri for info in infos if "/model=" in info.uri]
    rows: list[dict[str, Any]] = pa.concat_tables(read_part(uri) for uri in parts).to_pylist()
    return rows


def assert_once(rows: list[dict[str, Any]], uris: set[str]) -> None:
    """Every address has one row, and there are no others."""
    counts = Counter(row["uri"] for row in rows)
    assert counts == dict.fromkeys(uris, 1)


def assert_says_what_rows_say(
    report: dict[str, Any], bundle: str, config: BulkConfig, empty: Path
) -> None:
    """A report made of sums is the one that counting all rows gives."""
    ledger = Ledger(str(empty), report["model"]["digest"])
    for info in storage.list_files(report["results"], suffix=".parquet"):
        without_sums(info.uri, storage.join(ledger.results_uri, storage.base_name(info.uri)))
    expected = summarise(ledger, bundle=load_bundle(bundle), then=config.second())
    apart = ("results", "run")
    assert as_text(report, *apart) == as_text(expected, *apart)


def without_sums(address: str, to: str) -> None:
    """Writes a results file as versions did that counted nothing in it."""
    with storage.replacing(to) as path:
        pq.write_table(read_part(address).replace_schema_metadata(None), path)


def as_text(report: dict[str, Any], *apart: str) -> str:
    """A report in the order in which it is written, without some of it."""
    return json.dumps({key: value for key, value in report.items() if key not in apart})
