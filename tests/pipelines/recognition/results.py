"""What lies in the results of a bulk job."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from crnn.files import storage
from pipelines.recognition.finished import read_part


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
