"""What a preparation left: samples and rejects, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.shards import Manifest, read_row_group


def samples_of(uri: str, manifest: Manifest) -> list[dict[str, Any]]:
    return [
        row
        for shard in manifest.shards
        for index in range(len(shard.row_groups))
        for row in read_row_group(uri, shard.name, index).to_pylist()
    ]


def rejects_of(folder: Path) -> dict[str, tuple[str, bytes | None]]:
    tables = [pq.read_table(path).to_pylist() for path in sorted((folder / "rejects").iterdir())]
    return {row["id"]: (row["reason"], row["image"]) for table in tables for row in table}
