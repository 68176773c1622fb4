"""What ``findings.parquet`` is: its name and columns, for those who write and who read it."""

from __future__ import annotations

import pyarrow as pa

FINDINGS_NAME = "findings.parquet"
SETS_KEY = b"sets"
"""Metadata key: JSON of the sets' addresses by name."""
FINDINGS_SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("id", pa.string()),
        ("kind", pa.string()),
        ("severity", pa.string()),
        ("with_set", pa.string()),
        ("with", pa.string()),
        ("side", pa.string()),
        ("confidence", pa.float64()),
        ("message", pa.string()),
    ]
)
"""``with``, ``with_set`` and ``side`` are null where there is no other sample, or no leak;
``confidence`` is that of a bundle's reading."""
