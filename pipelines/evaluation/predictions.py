"""Where every single prediction goes: Parquet files of bounded size, written as they come in."""

from __future__ import annotations

import re
from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from crnn import storage
from pipelines.evaluation.reader import PREDICTION_SCHEMA
from pipelines.owned import delete_ours

FILE_ROWS = 1_000_000
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
