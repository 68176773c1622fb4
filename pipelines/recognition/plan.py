"""The ledger of a bulk job (``pipelines.ledger``): what is left to read.

    OUT/model=<digest>/part-00002-00017.parquet    results: chunk 17 of plan 2, all or nothing
    OUT/_work/<digest>/recipe.json                 bundle and options of the rows above
    OUT/_work/<digest>/plan-00002.parquet          a row group a chunk
    OUT/_work/<digest>/plan-00002.swept            rows that it replaces are gone

A chunk is done when its results file is there; read twice, by a job and by what is left of one
killed before it, it gives the same file. A listing that is cut short leaves the plans that were
written; the next one plans what they don't have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from pipelines import ledger
from pipelines.claim import lay_down
from pipelines.recognition.finished import FOLDER, RECIPE_FILE, work_of
from pipelines.recognition.inputs import SCHEMA
from pipelines.recognition.known import REPLACES

CHUNK_ROWS = 512
FIRST_PLAN_CHUNKS, MOST_PLAN_CHUNKS = 8, 200
"""The first plan of a listing is short, so that reading can begin; each next one twice as long."""
_SWEPT = ".swept"
PLAN_SCHEMA = SCHEMA.append(REPLACES)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that is written down."""

    address: str
    results_uri: str
    groups: tuple[int, ...]
    """Rows of every chunk."""
    replaces: bool
    """Whether there are inputs with an older row."""

    @property
    def number(self) -> int:
        """Its place among the plans; higher ones are newer."""
        return ledger.number_of(self.address)

    def chunks(self) -> list[ledger.Chunk]:
        """All of it, in order."""
        return [
            ledger.Chunk(
                uri=self.results_uri,
                part=f"{ledger.PART}-{self.number:05d}-{index:05d}.parquet",
                rows=rows,
                address=self.address,
                index=index,
            )
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
        lay_down(address, recipe, self.results_uri, "another --output")

    def plans(self) -> list[Plan]:
        """Oldest first."""
        return [
            self._plan(address, ledger.read_plan(address, lambda plan: plan.metadata))
            for address in ledger.files(self.work_uri, ledger.PLAN, ".parquet")
        ]

    def chunks_left(self) -> list[ledger.Chunk]:
        """Chunks of all plans without a results file."""
        done = {storage.base_name(address) for address in self.parts()}
        chunks = [chunk for plan in self.plans() for chunk in plan.chunks()]
        return [chunk for chunk in chunks if chunk.part not in done]

    def parts(self) -> list[str]:
        """Addresses of the results files, in order."""
        return ledger.files(self.results_uri, ledger.PART, ".parquet")

    def inputs(self, plan: Plan) -> Iterator[pa.Table]:
        """The inputs of a plan, chunk by chunk."""
        return (ledger.read_chunk(chunk) for chunk in plan.chunks())

    def add(self, tables: Iterable[pa.Table]) -> Iterator[Plan]:
        """Plans of these inputs, tables of ``PLAN_SCHEMA``, each when it is written down.

        Raises:
            DataError: when another job writes plans here meanwhile.
        """
        if not self._next:
            there = map(ledger.number_of, ledger.files(self.work_uri, ledger.PLAN, ".parquet"))
            self._next = max(there, default=-1) + 1
        size = FIRST_PLAN_CHUNKS
        chunks: list[pa.Table] = []
        for chunk in ledger.gathered(tables, self._chunk_rows):
            chunks.append(chunk)
            if len(chunks) == size:
                yield self._write(chunks)
                chunks, size = [], min(2 * size, MOST_PLAN_CHUNKS)
        if chunks:
            yield self._write(chunks)

    def unswept(self) -> list[Plan]:
        """Plans with inputs whose older rows may still be there."""
        swept = set(map(ledger.number_of, ledger.files(self.work_uri, ledger.PLAN, _SWEPT)))
        return [plan for plan in self.plans() if plan.replaces and plan.number not in swept]

    def mark_swept(self, plan: Plan) -> None:
        """No older row of its inputs is left."""
        name = ledger.plan_name(plan.number, _SWEPT)
        storage.write_bytes(storage.join(self.work_uri, name), b"")

    def _write(self, chunks: list[pa.Table]) -> Plan:
        number, self._next = self._next, self._next + 1
        address = storage.join(self.work_uri, ledger.plan_name(number))
        if not ledger.write_plan(address, chunks, PLAN_SCHEMA):
            raise DataError(
                f"{address} was written by another job meanwhile; let one job at a time write to "
                "an --output, and run this one again when the other has ended"
            )
        replaces = any(pc.any(chunk[REPLACES.name]).as_py() for chunk in chunks)
        groups = tuple(len(chunk) for chunk in chunks)
        return Plan(address=address, results_uri=self.results_uri, groups=groups, replaces=replaces)

    def _plan(self, address: str, footer: pq.FileMetaData) -> Plan:
        found = [footer.row_group(index) for index in range(footer.num_row_groups)]
        leaf = footer.num_columns - 1  # ``REPLACES`` is the last column
        replaces = any(group.column(leaf).statistics.max for group in found)
        groups = tuple(group.num_rows for group in found)
        return Plan(address=address, results_uri=self.results_uri, groups=groups, replaces=replaces)
