"""Rows on local disk in buckets by picture, so that two sides meet a bucket at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.recognition.finished import key_of

BUCKETS = 64
"""A hundred million rows make buckets of 1.6 million, some hundreds of MB of memory each."""
KEY = pa.field("key", pa.binary(16))

Numbers = NDArray[np.uint64]
"""One of each row: evenly spread over 64 bits, the same for the same picture on both sides."""


def with_keys(table: pa.Table) -> tuple[pa.Table, Numbers]:
    """The table and the column ``KEY`` in front of it, and the rows' numbers."""
    there = [name for name in ("uri", "page", "region") if name in table.column_names]
    keys = [key_of(row) for row in table.select(there).to_pylist()]
    numbers = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)[:, 0]
    return table.add_column(0, KEY, pa.array(keys, KEY.type)), numbers


class HashBuckets:
    """One side's rows: written once, then read a bucket at a time."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """``schema``: of the rows, ``KEY`` first."""
        self._paths = [folder / f"{number:02d}.arrow" for number in range(BUCKETS)]
        self._schema = schema
        self._files = ExitStack()
        self._writers: Sequence[pa.RecordBatchStreamWriter] = ()
        folder.mkdir(parents=True)

    def __enter__(self) -> HashBuckets:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writers = [
            self._files.enter_context(pa.ipc.new_stream(str(path), self._schema, options=options))
            for path in self._paths
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def write(self, table: pa.Table, numbers: Numbers) -> None:
        """Rows of the schema, and their numbers."""
        places = (numbers % np.uint64(BUCKETS)).astype(np.int64)
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(BUCKETS + 1))
        ordered = table.take(order)
        for number in np.unique(places).tolist():
            begin, end = int(ends[number]), int(ends[number + 1])
            self._writers[number].write_table(ordered.slice(begin, end - begin))

    def read(self, number: int) -> pa.Table:
        """One bucket, when all is written; the rows in the order in which they came."""
        with pa.OSFile(str(self._paths[number])) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()
