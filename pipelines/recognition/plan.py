"""What is left to read, written down before anything is read: the ledger of a bulk job.

    OUT/model=<digest>/part-0002-00017.parquet     results: chunk 17 of plan 2, all or nothing
    OUT/_work/<digest>/recipe.json                 bundle and options of the rows above
    OUT/_work/<digest>/plan-0002/inputs-00000.parquet   a row group a chunk
    OUT/_work/<digest>/plan-0002/plan.json         written last: the plan is whole
    OUT/_work/<digest>/plan-0002/swept.json        rows that it replaces are gone

A chunk is done when its results file is there. The chunks of a plan never change, so a chunk
that is read twice, by a job and by what is left of one killed before it, gives the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crnn import storage
from crnn.errors import DataError
from pipelines.recognition.listing import SCHEMA

CHUNK_ROWS = 512
FILE_CHUNKS = 200
WORK_FOLDER = "_work"
_PLAN_FILE, _SWEPT_FILE, _RECIPE_FILE = "plan.json", "swept.json", "recipe.json"
_REPLACES = pa.field("replaces", pa.bool_())
PLAN_SCHEMA = SCHEMA.append(_REPLACES)
"""``replaces``: whether there may be an older row of this address."""
_KEY_BYTES = 16
_NO_KEYS = np.empty(0, dtype=f"S{_KEY_BYTES}")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Inputs that one task reads into one results file."""

    plan: int
    index: int
    rows: int
    address: str
    """The plan's file."""
    row_group: int

    @property
    def part(self) -> str:
        """Name of the results file."""
        return f"part-{self.plan:04d}-{self.index:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A finished plan, as ``plan.json`` has it."""

    number: int
    files: tuple[tuple[int, ...], ...]
    """Rows of every row group of every file of inputs."""
    replacing: int
    """Inputs that may have an older row."""

    def chunks(self, folder: str) -> list[Chunk]:
        """All of it, in order."""
        found: list[Chunk] = []
        for file, groups in enumerate(self.files):
            address = storage.join(folder, f"inputs-{file:05d}.parquet")
            for group, rows in enumerate(groups):
                found.append(
                    Chunk(
                        plan=self.number,
                        index=len(found),
                        rows=rows,
                        address=address,
                        row_group=group,
                    )
                )
        return found


class Ledger:
    """The plans and the results of one bundle in one output folder."""

    def __init__(self, out_uri: str, digest: str) -> None:
        self.results_uri = storage.join(out_uri, f"model={digest[:16]}")
        self.work_uri = storage.join(out_uri, WORK_FOLDER, digest[:16])

    def claim(self, recipe: Mapping[str, Any]) -> None:
        """Lays down how the rows are made.

        Raises:
            DataError: when there are rows of this bundle made with other options.
        """
        address = storage.join(self.work_uri, _RECIPE_FILE)
        try:
            before = json.loads(storage.read_bytes(address))
        except FileNotFoundError:
            storage.write_bytes(address, json.dumps(recipe, indent=1).encode())
            return
        differing = [
            f"{key}: {before.get(key)!r} → {recipe.get(key)!r}"
            for key in sorted({*before, *recipe})
            if before.get(key) != recipe.get(key)
        ]
        if differing:
            raise DataError(
                f"{self.results_uri} was read with other options: {'; '.join(differing)}; give "
                "them as they were, or another --output"
            )

    def plans(self) -> list[Plan]:
        """Those that are whole, oldest first."""
        found = []
        for info in self._files(self.work_uri, _PLAN_FILE, recursive=True):
            entry = json.loads(storage.read_bytes(info.uri))
            files = tuple(tuple(groups) for groups in entry.pop("files"))
            found.append(Plan(files=files, **entry))
        return sorted(found, key=lambda plan: plan.number)

    def folder(self, number: int) -> str:
        """Where a plan lies."""
        return storage.join(self.work_uri, f"plan-{number:04d}")

    def chunks_left(self) -> list[Chunk]:
        """Chunks of all plans without a results file."""
        done = {storage.base_name(info.uri) for info in self._files(self.results_uri, ".parquet")}
        chunks = [chunk for plan in self.plans() for chunk in plan.chunks(self.folder(plan.number))]
        return [chunk for chunk in chunks if chunk.part not in done]

    def parts(self) -> list[str]:
        """Addresses of the results files, in order."""
        return [info.uri for info in self._files(self.results_uri, ".parquet")]

    def add(self, tables: Iterable[pa.Table]) -> Plan | None:
        """A plan of the inputs whose last plan had them in another version, or that are new.

        None where there are none. Keeps 32 bytes for every input of the plans before.
        """
        known = _Known(self._planned())
        return self._write(known.fresh(table) for table in tables)

    def again(self, tables: Iterable[pa.Table]) -> Plan | None:
        """A plan of these inputs whatever was read of them before, to replace their rows."""
        return self._write(
            table.append_column(_REPLACES, pa.repeat(pa.scalar(True), len(table)))
            for table in tables
        )

    def inputs(self, plan: Plan) -> Iterator[pa.Table]:
        """The inputs of a plan, chunk by chunk."""
        for chunk in plan.chunks(self.folder(plan.number)):
            yield read_chunk(chunk)

    def unswept(self) -> list[Plan]:
        """Plans with inputs whose older rows may still be there."""
        return [
            plan
            for plan in self.plans()
            if plan.replacing
            and not storage.exists(storage.join(self.folder(plan.number), _SWEPT_FILE))
        ]

    def mark_swept(self, plan: Plan) -> None:
        """No older row of its inputs is left."""
        storage.write_bytes(storage.join(self.folder(plan.number), _SWEPT_FILE), b"{}")

    def _planned(self) -> Iterator[Iterator[pa.Table]]:
        """The inputs of each plan, newest plan first."""
        return (self.inputs(plan) for plan in reversed(self.plans()))

    def _write(self, tables: Iterable[pa.Table]) -> Plan | None:
        """A plan of tables of ``PLAN_SCHEMA``; one that is cut short here is begun anew."""
        plans = self.plans()
        number = plans[-1].number + 1 if plans else 0
        storage.delete(self.folder(number))
        writer = _PlanWriter(self.folder(number))
        for table in tables:
            writer.write(table)
        files = writer.close()
        if not files:
            return None
        plan = Plan(number=number, files=files, replacing=writer.replacing)
        address = storage.join(self.folder(number), _PLAN_FILE)
        storage.write_bytes(address, json.dumps(asdict(plan)).encode())
        return plan

    @staticmethod
    def _files(uri: str, suffix: str, *, recursive: bool = False) -> list[storage.FileInfo]:
        try:
            return list(storage.list_files(uri, suffix=suffix, recursive=recursive))
        except FileNotFoundError:
            return []


def read_chunk(chunk: Chunk) -> pa.Table:
    """The inputs of a chunk.

    Raises:
        DataError: when the plan's file is missing or damaged.
    """
    system, path = storage.resolve(chunk.address)

    def read() -> pa.Table:
        with system.open_input_file(path) as file, pq.ParquetFile(file) as plan:
            return plan.read_row_group(chunk.row_group)

    try:
        return storage.attempt("read", chunk.address, read)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise DataError(
            f"the plan {chunk.address} is missing or damaged ({error}); delete its folder and "
            "run the job again"
        ) from error


class _PlanWriter:
    """Inputs in, files of whole chunks out."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._pending: list[pa.Table] = []
        self._chunks: list[pa.Table] = []
        self._files: list[tuple[int, ...]] = []
        self.replacing = 0

    def write(self, table: pa.Table) -> None:
        """Takes in a table of ``PLAN_SCHEMA``."""
        self.replacing += pc.sum(table["replaces"]).as_py() or 0
        self._pending.append(table)
        if sum(len(part) for part in self._pending) >= CHUNK_ROWS:
            self._cut(last=False)

    def close(self) -> tuple[tuple[int, ...], ...]:
        """Rows of every row group of every file."""
        self._cut(last=True)
        self._flush()
        return tuple(self._files)

    def _cut(self, *, last: bool) -> None:
        table = pa.concat_tables(self._pending) if self._pending else PLAN_SCHEMA.empty_table()
        while len(table) >= CHUNK_ROWS or (last and len(table)):
            self._chunks.append(table.slice(0, CHUNK_ROWS))
            table = table.slice(CHUNK_ROWS)
            if len(self._chunks) == FILE_CHUNKS:
                self._flush()
        self._pending = [table]

    def _flush(self) -> None:
        if not self._chunks:
            return
        address = storage.join(self._folder, f"inputs-{len(self._files):05d}.parquet")
        with (
            storage.replacing(address) as path,
            pq.ParquetWriter(path, PLAN_SCHEMA, compression="zstd") as writer,
        ):
            for chunk in self._chunks:
                writer.write_table(chunk, row_group_size=CHUNK_ROWS)
        self._files.append(tuple(len(chunk) for chunk in self._chunks))
        self._chunks = []


class _Known:
    """Inputs that were planned: their last versions and their addresses, as sorted hashes."""

    def __init__(self, newest_first: Iterable[Iterable[pa.Table]]) -> None:
        self._uris = self._versions = _NO_KEYS
        for plan in newest_first:
            uris, versions = [self._uris], [self._versions]
            for table in plan:
                uri, version = _keys(table)
                last = ~_among(uri, self._uris)
                uris.append(uri[last])
                versions.append(version[last])
            self._uris = np.sort(np.concatenate(uris))
            self._versions = np.sort(np.concatenate(versions))

    def fresh(self, table: pa.Table) -> pa.Table:
        """Its rows in a version not known, with ``replaces`` where the address is."""
        uri, version = _keys(table)
        known_uri = pa.array(_among(uri, self._uris))
        return table.append_column(_REPLACES, known_uri).filter(
            pa.array(~_among(version, self._versions))
        )


def _keys(table: pa.Table) -> tuple[NDArray[np.bytes_], NDArray[np.bytes_]]:
    """Hashes of address, and of address with version."""
    uris, etags = table["uri"].to_pylist(), table["etag"].to_pylist()
    versions = [f"{uri}\0{etag}" for uri, etag in zip(uris, etags, strict=True)]
    return _hashed(uris), _hashed(versions)


def _hashed(texts: list[str]) -> NDArray[np.bytes_]:
    digests = (hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).digest() for text in texts)
    return np.fromiter(digests, dtype=_NO_KEYS.dtype, count=len(texts))


def _among(keys: NDArray[np.bytes_], known: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Which of ``keys`` are in ``known``, which is sorted."""
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    places = np.searchsorted(known, keys).clip(max=len(known) - 1)
    found: NDArray[np.bool_] = known[places] == keys
    return found
