"""The predictions of an evaluation, read again; those of two bundles side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from pipelines.evaluation.reader import PREDICTION_SCHEMA

FOLDER = "predictions"
"""Beside the report of an evaluation."""
_KEY = ("set", "id")


def read_predictions(uri: str, columns: Sequence[str]) -> pa.Table:
    """Columns of what ``parts.Parts`` wrote to ``uri``, beside ``set`` and ``id``; those that
    there weren't when it was written are null.

    Raises:
        DataError: when there are none.
    """
    schema = pa.schema([PREDICTION_SCHEMA.field(name) for name in (*_KEY, *columns)])
    tables = []
    try:
        for info in storage.list_files(uri, suffix=".parquet"):
            file = pq.ParquetFile(pa.BufferReader(storage.read_bytes(info.uri)))
            there = [name for name in schema.names if name in file.schema_arrow.names]
            table = file.read(columns=there)
            missing = (field for field in schema if field.name not in there)
            for field in missing:
                table = table.append_column(field, pa.nulls(len(table), field.type))
            tables.append(table.select(schema.names))
    except FileNotFoundError:
        pass
    if not tables:
        raise DataError(f"there are no predictions at {uri}; evaluate the bundle again")
    return pa.concat_tables(tables)


def same_samples(first: pa.Table, second: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Both predictions in the same order of their samples.

    Raises:
        DataError: when they aren't of the same samples.
    """
    order = [(name, "ascending") for name in _KEY]
    first, second = first.sort_by(order), second.sort_by(order)
    if first.select(_KEY).equals(second.select(_KEY)):
        return first, second
    raise DataError(
        f"the predictions are of {len(first):,} and {len(second):,} samples that aren't the "
        "same; evaluate both bundles on the same sets, with the same share and limit"
    )
