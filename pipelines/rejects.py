"""Inputs set aside: a row with the reason, and the encoded picture where there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.files import storage

REJECT_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("id", "reason", "message")),
        pa.field("source", pa.string(), nullable=False),
        pa.field("image", pa.binary()),
    ]
)

FORMER_REASONS = {"not_found": "missing_file", "unreadable": "unreadable_file"}
"""Reasons of today → as sets that were prepared before call them."""
_OF_TODAY = {former: reason for reason, former in FORMER_REASONS.items()}


def of_today(reason: str) -> str:
    """The reason that an input was set aside for, by today's name."""
    return _OF_TODAY.get(reason, reason)


class Reject(TypedDict):
    """One row of ``REJECT_SCHEMA``; ``image`` is null where there is no picture."""

    id: str
    reason: str
    message: str
    source: str
    image: bytes | None


def rejected(uri: str) -> Iterator[tuple[str, str, str]]:
    """Id, reason and message of each input that was set aside in a folder of shards."""
    for info in storage.list_files(storage.join(uri, "rejects"), suffix=".parquet"):
        system, path = storage.resolve(info.uri)
        table = pq.read_table(path, filesystem=system, columns=["id", "reason", "message"])
        for row in table.to_pylist():
            yield row["id"], of_today(row["reason"]), row["message"]


class RejectWriter:
    """The rejects of one part: a file, if there is a first of them, put in place whole."""

    def __init__(self, address: str, group_rows: int, group_bytes: int) -> None:
        """Writes nothing yet; limits a row group's rows, and roughly its bytes."""
        self._address = address
        self._group_rows, self._group_bytes = group_rows, group_bytes
        self._replacing: AbstractContextManager[Path] | None = None
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Reject] = []
        self._rows_bytes = 0
        self.reasons: Counter[str] = Counter()

    def add(self, row: Reject) -> None:
        """One more row; it reaches the file with its row group."""
        self.reasons[row["reason"]] += 1
        self._rows.append(row)
        self._rows_bytes += len(row["image"] or b"")
        if len(self._rows) >= self._group_rows or self._rows_bytes >= self._group_bytes:
            self._flush()

    def close(self) -> None:
        """Put the file in place, if there is any row."""
        if self._rows:
            self._flush()
        if self._writer is not None and self._replacing is not None:
            self._writer.close()
            self._replacing.__exit__(None, None, None)
            self._writer = None

    def abandon(self, error: BaseException) -> None:
        """Forget the file."""
        if self._writer is not None and self._replacing is not None:
            self._writer.close()
            self._replacing.__exit__(type(error), error, error.__traceback__)
            self._writer = None

    def _flush(self) -> None:
        if self._writer is None:
            self._replacing = storage.replacing(self._address)
            path = self._replacing.__enter__()
            small = [name for name in REJECT_SCHEMA.names if name != "image"]
            self._writer = pq.ParquetWriter(
                path, REJECT_SCHEMA, compression="zstd", use_dictionary=small,
                write_statistics=small,
            )  # fmt: skip
        self._writer.write_table(pa.Table.from_pylist(list(self._rows), schema=REJECT_SCHEMA))
        self._rows, self._rows_bytes = [], 0
