"""The ledger of a folder of shards (``pipelines.ledger``), written while the sources are listed.

    OUT/_parts/recipe.json              how it is made (``pipelines.output``)
    OUT/_parts/plan-00003.parquet       a window of the listing, shuffled; a row group a part
    OUT/_parts/part-00017.json          sums of a part whose shards are in place

Where windows and parts begin depends on the number of entries before them alone. A job that is
run again lists again, finds the windows that it wrote down before, and goes on behind them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.region import Region
from pipelines import ledger
from pipelines.ledger import Chunk
from pipelines.output import PARTS_NAME, delete_from
from pipelines.prepare.entries import Entry
from pipelines.rejects import FORMER_REASONS, of_today

FIRST_WINDOW, MOST_WINDOW = 2048, 65_536
"""Entries of a window: the first one is small, so that work begins; each next twice as large."""
PARTS_A_WINDOW = 8
_DIGEST_KEY = b"listing_digest"
_PAGE = 4096

PLAN_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("set", pa.int32()),
        ("file", pa.string()),
        ("at", pa.string()),
        ("region", pa.list_(pa.float64())),
        ("has_picture", pa.bool_()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("source", pa.string()),
        ("group", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The chunks of a window that are left to do."""

    left: tuple[Chunk, ...]

    def chunks(self) -> Sequence[Chunk]:
        """All of them, in order."""
        return self.left


class Planner:
    """Takes the entries of one folder as they are listed, and writes its plan down."""

    def __init__(
        self,
        uri: str,
        recipe: Mapping[str, Any],
        *,
        in_order: bool,
        done: bool,
        overwrite: bool = False,
    ) -> None:
        """Plan the folder at ``uri``; of one that is ``done`` only the digest is taken.

        With ``overwrite`` what was written down of another listing gives way to this one.
        """
        self._uri, self._done, self._overwrite = uri, done, overwrite
        self._seed = -1 if in_order else int(recipe["shuffle_seed"])
        self._part_rows = int(recipe["part_rows"])
        self._hash = hashlib.sha256()
        self._former: hashlib._Hash | None = None
        """The same over the former names of reasons, from the first entry that had one."""
        self._waiting: list[pa.Table] = []
        self._page: list[Entry] = []
        self._rows = 0
        """Entries in the window that is being filled."""
        self._window = self._part = 0
        """Numbers of that window, and of its first part."""
        self._plans = set() if done else self._names(ledger.PLAN, ".parquet")
        self._parts = set() if done else self._names(ledger.PART, ".json")
        self.listed = self.rows_done = 0
        """Entries that came by, and those of them in parts that were done before."""

    @property
    def digest(self) -> str:
        """sha256 over the entries so far."""
        return self._hash.hexdigest()

    def has_digest(self, digest: str) -> bool:
        """Whether it is that of the entries so far; an earlier version's counts as well."""
        return digest == self.digest or (
            self._former is not None and digest == self._former.hexdigest()
        )

    def add(self, entries: Sequence[Entry]) -> Iterator[Window]:
        """Take these in; each window that they fill, when it is written down.

        Raises:
            DataError: when a window isn't what it was when it was written down.
        """
        for entry in entries:
            self._page.append(entry)
            self._rows += 1
            if self._rows == self._size:
                yield self._close()
            elif len(self._page) == _PAGE:
                self._settle()

    def end(self) -> Iterator[Window]:
        """The last window; DataError as ``add``, also when there were more of them."""
        if self._rows:
            yield self._close()
        beyond = sorted(name for name in self._plans if name >= self._plan_name())
        if beyond:
            self._differs(f"it listed more than {self.listed:,} entries before")

    @property
    def parts(self) -> int:
        """How many parts there are in all; known at the end."""
        return self._part

    @property
    def _size(self) -> int:
        if self._part_rows:
            return max(FIRST_WINDOW, PARTS_A_WINDOW * self._part_rows)
        return min(FIRST_WINDOW << min(self._window, 16), MOST_WINDOW)

    def _settle(self) -> None:
        """Entries as a table, which takes a tenth of the memory."""
        if not self._page:
            return
        for entry in self._page:
            former = FORMER_REASONS.get(entry.reason)
            if former and self._former is None:
                self._former = self._hash.copy()
            self._hash.update(_line(entry, entry.reason))
            if self._former is not None:
                self._former.update(_line(entry, former or entry.reason))
        self.listed += len(self._page)
        if not self._done:
            self._waiting.append(_table(self._page))
        self._page = []

    def _close(self) -> Window:
        self._settle()
        name, rows = self._plan_name(), self._rows
        address = storage.join(self._uri, PARTS_NAME, name)
        if self._done:
            left: tuple[Chunk, ...] = ()
        else:
            size = self._part_rows or -(-self._size // PARTS_A_WINDOW)
            if name in self._plans:
                self._check(address)
            if name not in self._plans and not self._write(address, size):
                self._check(address)
            chunks = [
                Chunk(
                    uri=self._uri,
                    part=f"{ledger.PART}-{self._part + index:05d}",
                    rows=min(size, rows - start),
                    address=address,
                    index=index,
                )
                for index, start in enumerate(range(0, rows, size))
            ]
            self._part += len(chunks)
            left = tuple(chunk for chunk in chunks if f"{chunk.part}.json" not in self._parts)
            self.rows_done += rows - sum(chunk.rows for chunk in left)
        self._waiting, self._rows = [], 0
        self._window += 1
        return Window(left=left)

    def _write(self, address: str, size: int) -> bool:
        """Write this window down; False where another job has done so at the same moment."""
        table = pa.concat_tables(self._waiting)
        if self._seed >= 0:
            order = np.random.default_rng([self._seed, self._window]).permutation(len(table))
            table = table.take(pa.array(order))
        schema = PLAN_SCHEMA.with_metadata({_DIGEST_KEY: self.digest.encode()})
        table = table.cast(schema)
        parts = (table.slice(start, size) for start in range(0, len(table), size))
        return ledger.write_plan(address, parts, schema)

    def _check(self, address: str) -> None:
        schema = ledger.read_plan(address, lambda plan: plan.schema_arrow)
        if not self.has_digest((schema.metadata or {}).get(_DIGEST_KEY, b"").decode()):
            self._differs(f"its first {self.listed:,} entries differ from the earlier ones")

    def _differs(self, how: str) -> None:
        """From here on all is planned again, where that is wanted; what is before stays."""
        if not self._overwrite:
            raise DataError(
                f"the source has changed since {self._uri} was begun: {how} (listing_digest); "
                "choose another folder, or --overwrite to replace what differs"
            )
        delete_from(self._uri, part=self._part, plan=self._window)
        self._plans = {name for name in self._plans if name < self._plan_name()}
        self._parts = {name for name in self._parts if name < f"part-{self._part:05d}"}

    def _plan_name(self) -> str:
        return ledger.plan_name(self._window)

    def _names(self, kind: str, suffix: str) -> set[str]:
        found = ledger.files(storage.join(self._uri, PARTS_NAME), kind, suffix)
        return set(map(storage.base_name, found))


def read_entries(chunk: Chunk) -> list[Entry]:
    """The entries of a chunk; DataError as ``read_chunk``."""
    columns = [column.to_pylist() for column in ledger.read_chunk(chunk).columns]
    return [_entry(row) for row in zip(*columns, strict=True)]


def _entry(row: Sequence[Any]) -> Entry:
    entry = Entry(*row)
    region = None if entry.region is None else cast(Region, tuple(entry.region))
    return entry._replace(region=region, reason=of_today(entry.reason))


def _line(entry: Entry, reason: str) -> bytes:
    """What the digest takes of an entry; ``reason`` as it is called there."""
    belongs = (entry.group,) if entry.group else ()
    line = "\t".join(map(str, (*entry[:7], reason, entry.source, *belongs)))
    return line.encode("utf-8", "surrogatepass") + b"\n"


def _table(entries: Sequence[Entry]) -> pa.Table:
    columns = zip(*entries, strict=True)
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, PLAN_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=PLAN_SCHEMA)
