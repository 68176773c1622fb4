"""Where every single prediction goes: Parquet files of bounded size, written as they come in; and
how they are read again, those of two bundles side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from crnn import storage
from crnn.errors import DataError
from pipelines.evaluation.reader import PREDICTION_SCHEMA
from pipelines.owned import delete_ours

FILE_ROWS = 1_000_000
FOLDER = "predictions"
"""Beside the report of an evaluation."""
_KEY = ("set", "id")
_OURS = re.compile(r"part-\d{5}\.parquet")


class PredictionWriter:
    """Writes tables to ``<uri>/part-00000.parquet`` and on; a file appears when it is whole.

    Files of an earlier evaluation in the same place are removed first.
    """

    def __init__(self, uri: str, *, file_rows: int = FILE_ROWS) -> None:
        self._uri, self._file_rows = uri, file_rows
        self._files = self._rows = 0
        self._open: ExitStack | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PredictionWriter:
        if storage.exists(self._uri):
            delete_ours(self._uri, _OURS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, error, traceback)
        self._open = self._writer = None

    def write(self, table: pa.Table) -> None:
        """Add a table of ``PREDICTION_SCHEMA``."""
        if not table.num_rows:
            return
        if self._writer is None:
            self._writer = self._begin()
        self._writer.write_table(table)
        self._rows += table.num_rows
        if self._rows >= self._file_rows:
            self.__exit__(None, None, None)

    def _begin(self) -> pq.ParquetWriter:
        name = f"part-{self._files:05d}.parquet"
        self._files, self._rows = self._files + 1, 0
        self._open = ExitStack()
        path = self._open.enter_context(storage.replacing(storage.join(self._uri, name)))
        return self._open.enter_context(
            pq.ParquetWriter(path, PREDICTION_SCHEMA, compression="zstd")
        )


def read_predictions(uri: str, columns: Sequence[str]) -> pa.Table:
    """Columns of what ``PredictionWriter`` wrote to ``uri``, beside ``set`` and ``id``; those that
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
