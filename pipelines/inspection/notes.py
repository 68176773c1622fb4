"""What single samples showed, with its message: kept compressed, and on disk beyond some MiB.

A task packs the notes of its piece (``pack``); the driver only keeps the bytes, about ten for each
note, until the findings are written (``every``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

IN_MEMORY_BYTES = 64 << 20
_SCHEMA = pa.schema([("row", pa.int64()), ("kind", pa.string()), ("message", pa.string())])


class Note(NamedTuple):
    """One thing wrong with one sample."""

    row: int
    """In its set."""
    kind: str
    message: str


def pack(notes: Sequence[Note]) -> bytes:
    """Notes as bytes; none for no notes."""
    if not notes:
        return b""
    rows, kinds, messages = zip(*notes, strict=True)
    table = pa.Table.from_arrays(
        [
            pa.array(rows, pa.int64()),
            pa.array(kinds, pa.string()),
            pa.array([_unicode(message) for message in messages], pa.string()),
        ],
        schema=_SCHEMA,
    )
    file = pa.BufferOutputStream()
    with pa.ipc.new_stream(file, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")) as to:
        to.write_table(table)
    return bytes(file.getvalue())


def unpack(data: bytes) -> list[Note]:
    """The inverse of ``pack``."""
    if not data:
        return []
    with pa.ipc.open_stream(data) as stream:
        columns = [column.to_pylist() for column in stream.read_all().columns]
    return [Note(*values) for values in zip(*columns, strict=True)]


class Notes:
    """The packed notes of all pieces, by set and first row."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._places: dict[tuple[int, int], tuple[int, int]] = {}

    def add(self, number: int, start: int, packed: bytes) -> None:
        """Keep the notes of the piece of set ``number`` that begins at row ``start``."""
        if packed:
            self._places[number, start] = self._file.seek(0, 2), len(packed)
            self._file.write(packed)

    def of(self, number: int, start: int) -> list[Note]:
        """The notes of that piece, in the order in which they were made."""
        if (number, start) not in self._places:
            return []
        offset, size = self._places[number, start]
        self._file.seek(offset)
        return unpack(self._file.read(size))


def _unicode(text: str) -> str:
    """What can be stored: names of files that aren't UTF-8 are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()
