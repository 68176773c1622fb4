"""Shards: Parquet files of samples, written whole or not at all, read by the row group.

``ShardWriter`` belongs to one task and returns a ``Part``; ``finish`` sums the parts into the
manifest. Row groups are small enough to be the unit of reading and of shuffling.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import NotRequired, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import PictureContract
from pipelines.ledger import of_parquet
from pipelines.manifest import (
    MANIFEST_NAME,
    MANIFEST_VERSION,
    Manifest,
    Part,
    ShardEntry,
    finish,
    load_manifest,
)
from pipelines.rejects import REJECT_SCHEMA, Reject, RejectWriter

__all__ = [
    "MANIFEST_NAME",
    "MANIFEST_VERSION",
    "REJECT_SCHEMA",
    "ROW_GROUP_BYTES",
    "SCHEMA",
    "Manifest",
    "Part",
    "Reject",
    "Sample",
    "ShardEntry",
    "ShardWriter",
    "check_sizes",
    "finish",
    "load_manifest",
    "read_row_group",
]

SHARD_BYTES = 256 << 20
ROW_GROUP_BYTES = 32 << 20
ROW_GROUP_ROWS = 2048
WIDTH_STEP_PX = 32

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("group", pa.string()),
    ]
)
"""``group``: what must stay on one side of a split; null for the sample itself. Sets made before
there was one lack it, and are read all the same.
"""


class Sample(TypedDict):
    """One row of ``SCHEMA``: encoded picture, NFC text, size of the upright picture in px."""

    id: str
    image: bytes
    text: str
    width: int
    height: int
    source: str
    group: NotRequired[str | None]


class ShardWriter:
    """Writes samples to ``<uri>/<prefix>-000.parquet`` and on, rejects beside them.

    A shard appears under its name when it is whole. As a context manager it closes at the end
    of the block, and leaves no half shard behind when the block raises.
    """

    def __init__(
        self,
        uri: str,
        prefix: str,
        *,
        shard_bytes: int = SHARD_BYTES,
        row_group_rows: int = ROW_GROUP_ROWS,
        row_group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        if min(shard_bytes, row_group_rows, row_group_bytes) < 1:
            raise ValueError(
                f"shard_bytes {shard_bytes}, row_group_rows {row_group_rows} and row_group_bytes "
                f"{row_group_bytes} must all be at least 1"
            )
        self._uri, self._prefix = uri, prefix
        self._shard_bytes = shard_bytes
        self._group_rows, self._group_bytes = row_group_rows, row_group_bytes
        self._rows: list[Sample] = []
        self._rows_bytes = 0
        self._rejects = RejectWriter(
            storage.join(uri, "rejects", f"{prefix}.parquet"), row_group_rows, row_group_bytes
        )
        self._shard: _OpenShard | None = None
        self._entries: list[ShardEntry] = []
        self._characters: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._widths: Counter[int] = Counter()
        self._part: Part | None = None

    def write(self, rows: Iterable[Sample]) -> None:
        """Add samples; they reach the file a row group at a time."""
        for row in rows:
            size = len(row["image"])
            full = len(self._rows) >= self._group_rows
            if full or (self._rows and self._rows_bytes + size > self._group_bytes):
                self._flush()
            self._rows.append(row)
            self._rows_bytes += size
            self._count(row)

    def reject(self, rows: Iterable[Reject]) -> None:
        """Set inputs aside, in ``rejects/<prefix>.parquet``."""
        for row in rows:
            self._rejects.add(row)

    def close(self) -> Part:
        """Put the last shard and the rejects in place; what was written, and its sums."""
        if self._part is None:
            self._flush()
            self._end_shard()
            self._rejects.close()
            self._part = Part(
                count=sum(self._lengths.values()),
                characters=dict(self._characters),
                length_histogram=dict(self._lengths),
                width_histogram=dict(self._widths),
                rejects=dict(self._rejects.reasons),
                shards=tuple(self._entries),
            )
        return self._part

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        self._rejects.abandon(error)
        if self._shard is not None:
            self._shard.abandon(error)
            self._shard = None

    def _count(self, row: Sample) -> None:
        natural_px = PictureContract().natural_width(row["width"], row["height"])
        self._characters.update(row["text"])
        self._lengths[len(row["text"])] += 1
        self._widths[-(-natural_px // WIDTH_STEP_PX) * WIDTH_STEP_PX] += 1

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._shard and self._shard.image_bytes + self._rows_bytes > self._shard_bytes:
            self._end_shard()
        if self._shard is None:
            name = f"{self._prefix}-{len(self._entries):03d}.parquet"
            self._shard = _OpenShard(self._uri, name)
        self._shard.add(self._rows, self._rows_bytes)
        self._rows, self._rows_bytes = [], 0

    def _end_shard(self) -> None:
        if self._shard is not None:
            self._entries.append(self._shard.commit())
            self._shard = None


class _OpenShard:
    """A shard while it is being written."""

    def __init__(self, uri: str, name: str) -> None:
        self._name = name
        self._replacing: AbstractContextManager[Path] = storage.replacing(storage.join(uri, name))
        self._path = self._replacing.__enter__()
        # Encoded pictures don't compress; statistics over them would copy one into the footer.
        small = [field for field in SCHEMA.names if field != "image"]
        self._writer = pq.ParquetWriter(
            self._path,
            SCHEMA,
            compression={name: "none" if name == "image" else "zstd" for name in SCHEMA.names},
            use_dictionary=["source", "group"],
            write_statistics=small,
            write_page_checksum=True,
        )
        self._groups: list[int] = []
        self._hash = hashlib.sha256()
        self.image_bytes = 0

    def add(self, rows: Sequence[Sample], image_bytes: int) -> None:
        """Write one row group."""
        for row in rows:
            picture = hashlib.sha256(row["image"]).digest()
            group = [text.encode()] if (text := row.get("group")) else []
            for piece in (row["id"].encode(), row["text"].encode(), picture, *group):
                self._hash.update(len(piece).to_bytes(8, "little") + piece)
        table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
        self._writer.write_table(table, row_group_size=len(rows))
        self._groups.append(len(rows))
        self.image_bytes += image_bytes

    def commit(self) -> ShardEntry:
        """Close the file and put it in place under its name."""
        self._writer.close()
        size = self._path.stat().st_size
        self._replacing.__exit__(None, None, None)
        return ShardEntry(
            name=self._name,
            rows=sum(self._groups),
            row_groups=tuple(self._groups),
            bytes=size,
            digest=self._hash.hexdigest(),
        )

    def abandon(self, error: BaseException) -> None:
        """Close the file and forget it."""
        self._writer.close()
        self._replacing.__exit__(type(error), error, error.__traceback__)


def read_row_group(
    uri: str, shard_name: str, index: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """Row group ``index`` of a shard, all columns or the given ones.

    Raises:
        DataError: when the shard is missing, cut short or damaged, naming it.
    """
    address = storage.join(uri, shard_name)

    def take(shard: pq.ParquetFile) -> pa.Table:
        if not 0 <= index < shard.num_row_groups:
            raise DataError(f"{address} has {shard.num_row_groups} row groups, none is {index}")
        return shard.read_row_group(index, columns=columns and list(columns))

    try:
        return of_parquet(address, take)
    except FileNotFoundError:
        raise DataError(f"the shard {address} is missing; prepare the data again") from None
    except pa.ArrowException as error:
        raise DataError(
            f"the shard {address} is cut short or damaged ({error}); prepare the data again"
        ) from error


def check_sizes(uri: str, manifest: Manifest) -> None:
    """Compare every shard's size with the manifest: one listing, no shard is read.

    Raises:
        DataError: naming the first shard that is missing or of another size.
    """
    sizes = {storage.base_name(info.uri): info.size_bytes for info in storage.list_files(uri)}
    for entry in manifest.shards:
        found = sizes.get(entry.name)
        if found != entry.bytes:
            state = "missing" if found is None else f"cut short or changed ({found} bytes)"
            raise DataError(
                f"the shard {storage.join(uri, entry.name)} is {state}; its manifest says "
                f"{entry.bytes} bytes; copy it again or prepare the data again"
            )
