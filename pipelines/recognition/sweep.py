"""Rows that newer ones replace are taken out, so that every input has one row in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crnn.files import storage
from crnn.result import LOW_CONFIDENCE
from pipelines.keys import NO_KEYS, Keys, among, position
from pipelines.ledger import number_of
from pipelines.recognition.finished import read_part
from pipelines.recognition.inputs import REGION, SCHEMA, places
from pipelines.recognition.known import REPLACES
from pipelines.recognition.lists import BAD_LINE
from pipelines.recognition.plan import Ledger, Plan
from pipelines.recognition.rows import PAGE, as_results
from pipelines.recognition.sums import ResultSums, as_file


def sweep(ledger: Ledger) -> int:
    """Removes the older rows of inputs that were read again; returns how many.

    Those of a plan that isn't read to its end stay. A file is rewritten whole, in place of the old
    one; killed within, it is done again.
    """
    unswept = ledger.unswept()
    if not unswept:
        return 0
    parts = ledger.parts()
    there = set(map(storage.base_name, parts))
    plans = [plan for plan in unswept if all(chunk.part in there for chunk in plan.chunks())]
    newest = _newest(ledger, plans)
    removed = sum(_without_stale(address, *newest) for address in parts)
    for plan in plans:
        ledger.mark_swept(plan)
    return removed


def failed_inputs(ledger: Ledger) -> Iterator[pa.Table]:
    """Inputs whose row is an error that another try may mend, with ``REPLACES``."""
    for address in ledger.parts():
        rows = read_part(address, ["uri", "etag", "region", "error_code", PAGE.name])
        final = pc.is_in(rows["error_code"], pa.array([LOW_CONFIDENCE, BAD_LINE]))
        failed = rows.filter(pc.and_(pc.is_valid(rows["error_code"]), pc.invert(final)))
        if len(failed):
            known = _inputs_of(failed)
            table = pa.table(
                [
                    known[f.name] if f.name in known.column_names else pa.nulls(len(known), f.type)
                    for f in SCHEMA
                ],
                schema=SCHEMA,
            )
            yield table.append_column(REPLACES, pa.repeat(pa.scalar(True), len(table)))


def _inputs_of(rows: pa.Table) -> pa.Table:
    """``uri``, ``etag`` and ``region`` of what was read; each file once where it was by pages."""
    if PAGE.name not in rows.column_names:
        return rows.select(["uri", "etag", "region"])
    return rows.group_by(["uri", "etag"], use_threads=False).aggregate([])


def _newest(ledger: Ledger, plans: Sequence[Plan]) -> tuple[Keys, NDArray[np.int64]]:
    """Places of replaced rows, sorted, and the number of the last plan that replaces each."""
    found: dict[bytes, int] = {}
    for plan in plans:
        for table in ledger.inputs(plan):
            replaced = places(table.filter(table[REPLACES.name]))
            found.update(dict.fromkeys(replaced.tolist(), plan.number))
    keys = np.array(sorted(found), dtype=NO_KEYS.dtype)
    return keys, np.array([found[key] for key in keys.tolist()], dtype=np.int64)


def _without_stale(address: str, keys: Keys, numbers: NDArray[np.int64]) -> int:
    """Rewrites a results file without rows that a later plan replaces; returns how many."""
    part = number_of(address)
    if not len(numbers) or part >= numbers.max():
        return 0
    here = places(_without_lines(read_part(address, ["uri", "region", PAGE.name])))
    stale = among(here, keys) & (numbers[position(here, keys)] > part)
    if stale.any():
        kept = as_results(read_part(address).filter(pa.array(~stale)))
        sums = ResultSums.of(storage.base_name(address), kept)
        storage.write_bytes(address, as_file(kept, sums))
    return int(stale.sum())


def _without_lines(rows: pa.Table) -> pa.Table:
    """The inputs of these rows: of a page, the regions are what was found in it."""
    if PAGE.name not in rows.column_names:
        return rows
    whole = pa.nulls(len(rows), REGION)
    return rows.set_column(rows.schema.get_field_index("region"), "region", whole)
