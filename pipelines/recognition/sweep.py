"""Rows that newer ones replace are taken out, so that every input has one row in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn import storage
from pipelines.recognition.listing import SCHEMA
from pipelines.recognition.plan import Ledger, Plan
from pipelines.recognition.reader import RESULT_SCHEMA


def sweep(ledger: Ledger) -> int:
    """Removes the older rows of inputs that were read again; returns how many.

    A file is rewritten whole, in place of the old one; killed within, it is done again.
    """
    removed = 0
    for plan in ledger.unswept():
        removed += _sweep_plan(ledger, plan)
        ledger.mark_swept(plan)
    return removed


def read_part(address: str, columns: list[str] | None = None) -> pa.Table:
    """A results file, all columns or the given ones; passing errors are tried again."""
    system, path = storage.resolve(address)

    def read() -> pa.Table:
        with system.open_input_file(path) as file:
            return pq.read_table(file, columns=columns)

    return storage.attempt("read", address, read)


def failed_inputs(ledger: Ledger) -> Iterator[pa.Table]:
    """Inputs whose row is an error, as tables of ``listing.SCHEMA``."""
    for address in ledger.parts():
        rows = read_part(address, ["uri", "etag", "error_code"])
        failed = rows.filter(pc.is_valid(rows["error_code"]))
        if len(failed):
            sizes = pa.nulls(len(failed), pa.int64())
            yield pa.table([failed["uri"], failed["etag"], sizes], schema=SCHEMA)


def _sweep_plan(ledger: Ledger, plan: Plan) -> int:
    replaced = pa.chunked_array(
        [chunk for table in ledger.inputs(plan) for chunk in _replaced(table)], pa.string()
    )
    older = [a for a in ledger.parts() if _plan_of(a) < plan.number]
    return sum(_without(address, replaced) for address in older)


def _replaced(table: pa.Table) -> Iterable[pa.Array]:
    return table.filter(table["replaces"])["uri"].chunks


def _plan_of(address: str) -> int:
    """Number of the plan in the name of a results file."""
    return int(storage.base_name(address).split("-")[1])


def _without(address: str, replaced: pa.ChunkedArray) -> int:
    """Rewrites a results file without the rows of these addresses; returns how many there were."""
    stale = pc.is_in(read_part(address, ["uri"])["uri"], value_set=replaced)
    count = pc.sum(stale).as_py() or 0
    if count:
        kept = read_part(address).filter(pc.invert(stale)).cast(RESULT_SCHEMA)
        with storage.replacing(address) as path:
            pq.write_table(kept, path, compression="zstd")
    return int(count)
