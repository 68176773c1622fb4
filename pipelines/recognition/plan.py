"""What is left to read, written down before anything is read: the ledger of a bulk job.

    OUT/model=<digest>/part-00002-00017.parquet    results: chunk 17 of plan 2, all or nothing
    OUT/_work/<digest>/recipe.json                 bundle and options of the rows above
    OUT/_work/<digest>/plan-00002.parquet          a row group a chunk
    OUT/_work/<digest>/plan-00002.swept            rows that it replaces are gone

A chunk is done when its results file is there. A plan never changes, so a chunk that is read
twice, by a job and by what is left of one killed before it, gives the same file. A listing that
is cut short leaves the plans that were written; the next one plans what they don't have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn.brief import change
from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition.finished import FOLDER, RECIPE_FILE, work_of
from pipelines.recognition.inputs import SCHEMA
from pipelines.recognition.known import REPLACES
from pipelines.stores import write_new

CHUNK_ROWS = 512
FIRST_PLAN_CHUNKS, MOST_PLAN_CHUNKS = 8, 200
"""The first plan of a listing is short, so that reading can begin; each next one twice as long."""
_PLAN, _SWEPT = ".parquet", ".swept"
PLAN_SCHEMA = SCHEMA.append(REPLACES)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Inputs that one process reads into one results file."""

    plan: int
    index: int
    rows: int
    address: str
    """The plan's file; the chunk is row group ``index``."""

    @property
    def part(self) -> str:
        """Name of the results file."""
        return f"part-{self.plan:05d}-{self.index:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that is written down."""

    number: int
    address: str
    groups: tuple[int, ...]
    """Rows of every chunk."""
    replaces: bool
    """Whether there are inputs with an older row."""

    def chunks(self) -> list[Chunk]:
        """All of it, in order."""
        return [
            Chunk(plan=self.number, index=index, rows=rows, address=self.address)
            for index, rows in enumerate(self.groups)
        ]


class Ledger:
    """The plans and the results of one bundle in one output folder."""

    def __init__(self, out_uri: str, digest: str, *, chunk_rows: int = CHUNK_ROWS) -> None:
        """``chunk_rows``: inputs of a chunk, or some more."""
        self._chunk_rows = chunk_rows
        self.results_uri = storage.join(out_uri, f"{FOLDER}{digest[:16]}")
        self.work_uri = work_of(self.results_uri)
        self._next = 0
        """Number of the next plan, once there are some or ``add`` has looked."""

    def claim(self, recipe: Mapping[str, Any]) -> None:
        """Lays down how the rows are made.

        Raises:
            DataError: when there are rows of this bundle made with other options.
        """
        address = storage.join(self.work_uri, RECIPE_FILE)
        if write_new(address, json.dumps(recipe, indent=1).encode()):
            return
        before = json.loads(storage.read_bytes(address))
        differing = [
            f"{key}: {' → '.join(change(before.get(key), recipe.get(key)))}"
            for key in sorted({*before, *recipe})
            if before.get(key) != recipe.get(key)
        ]
        if differing:
            raise DataError(
                f"{self.results_uri} was read with other options: {'; '.join(differing)}; give "
                "them as they were, or another --output"
            )

    def plans(self) -> list[Plan]:
        """Oldest first."""
        return [
            _plan(plan_of(info.uri), info.uri, read_footer(info.uri))
            for info in self._files(self.work_uri, _PLAN)
        ]

    def chunks_left(self) -> list[Chunk]:
        """Chunks of all plans without a results file."""
        done = {storage.base_name(address) for address in self.parts()}
        chunks = [chunk for plan in self.plans() for chunk in plan.chunks()]
        return [chunk for chunk in chunks if chunk.part not in done]

    def parts(self) -> list[str]:
        """Addresses of the results files, in order."""
        return [info.uri for info in self._files(self.results_uri, ".parquet")]

    def inputs(self, plan: Plan) -> Iterator[pa.Table]:
        """The inputs of a plan, chunk by chunk."""
        return (read_chunk(chunk) for chunk in plan.chunks())

    def add(self, tables: Iterable[pa.Table]) -> Iterator[Plan]:
        """Plans of these inputs, tables of ``PLAN_SCHEMA``, each when it is written down.

        Raises:
            DataError: when another job writes plans here meanwhile.
        """
        if not self._next:
            there = [plan_of(info.uri) for info in self._files(self.work_uri, _PLAN)]
            self._next = max(there, default=-1) + 1
        size = FIRST_PLAN_CHUNKS
        chunks: list[pa.Table] = []
        for chunk in gathered(tables, self._chunk_rows):
            chunks.append(chunk)
            if len(chunks) == size:
                yield self._write(chunks)
                chunks, size = [], min(2 * size, MOST_PLAN_CHUNKS)
        if chunks:
            yield self._write(chunks)

    def unswept(self) -> list[Plan]:
        """Plans with inputs whose older rows may still be there."""
        swept = {plan_of(info.uri) for info in self._files(self.work_uri, _SWEPT)}
        return [plan for plan in self.plans() if plan.replaces and plan.number not in swept]

    def mark_swept(self, plan: Plan) -> None:
        """No older row of its inputs is left."""
        storage.write_bytes(self._address(plan.number, _SWEPT), b"")

    def _write(self, chunks: list[pa.Table]) -> Plan:
        number, self._next = self._next, self._next + 1
        address = self._address(number, _PLAN)
        file = pa.BufferOutputStream()
        with pq.ParquetWriter(file, PLAN_SCHEMA, compression="zstd") as writer:
            for chunk in chunks:
                writer.write_table(chunk, row_group_size=len(chunk))
        if not write_new(address, file.getvalue().to_pybytes()):
            raise DataError(
                f"{address} was written by another job meanwhile; let one job at a time write to "
                "an --output, and run this one again when the other has ended"
            )
        replaces = any(pc.any(chunk[REPLACES.name]).as_py() for chunk in chunks)
        groups = tuple(len(chunk) for chunk in chunks)
        return Plan(number=number, address=address, groups=groups, replaces=replaces)

    def _address(self, number: int, suffix: str) -> str:
        return storage.join(self.work_uri, f"plan-{number:05d}{suffix}")

    @staticmethod
    def _files(uri: str, suffix: str) -> list[storage.FileInfo]:
        try:
            return list(storage.list_files(uri, suffix=suffix))
        except FileNotFoundError:
            return []


def read_chunk(chunk: Chunk) -> pa.Table:
    """The inputs of a chunk.

    Raises:
        DataError: when the plan's file is missing or damaged.
    """
    return _read_plan(chunk.address, lambda plan: plan.read_row_group(chunk.index))


def read_footer(address: str) -> pq.FileMetaData:
    """The footer of a plan; DataError as ``read_chunk``."""
    return _read_plan(address, lambda plan: plan.metadata)


def _read_plan(address: str, part: Any) -> Any:
    system, path = storage.resolve(address)

    def read() -> Any:
        with system.open_input_file(path) as file, pq.ParquetFile(file) as plan:
            return part(plan)

    try:
        return storage.attempt("read", address, read)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise DataError(
            f"the plan {address} is missing or damaged ({error}); delete it and run the job again"
        ) from error


def plan_of(address: str) -> int:
    """Number of the plan in the name of its file, or of a results file."""
    return int(storage.base_name(address).split(".")[0].split("-")[1])


def _plan(number: int, address: str, footer: pq.FileMetaData) -> Plan:
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    leaf = footer.num_columns - 1  # ``REPLACES`` is the last column
    return Plan(
        number=number,
        address=address,
        groups=tuple(group.num_rows for group in groups),
        replaces=any(group.column(leaf).statistics.max for group in groups),
    )


def gathered(tables: Iterable[pa.Table], chunk_rows: int) -> Iterator[pa.Table]:
    """Whole tables together until they have ``chunk_rows``; the last ones have fewer."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(len(part) for part in waiting) >= chunk_rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if sum(len(part) for part in waiting):
        yield pa.concat_tables(waiting)
