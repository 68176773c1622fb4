"""The rejects of a run: a part for each checkpoint that brought some, merged when the run ends.

A part's name has the samples that were seen at its checkpoint. After a resume the parts of later
checkpoints go, as their samples come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.files import storage
from pipelines.stream.assemble import Refusal

FOLDER = "rejects"
MERGED = "rejects.parquet"
_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "reason", "message")])


class RejectParts:
    """The parts in a run's folder; one process at a time writes them."""

    def __init__(self, run_uri: str) -> None:
        self._run_uri = run_uri
        self._folder = storage.join(run_uri, FOLDER)

    def write(self, samples: int, refusals: Iterable[Refusal]) -> None:
        """Adds the part of the checkpoint at ``samples``; nothing when there are no refusals."""
        rows = [vars(refusal) for refusal in refusals]
        if rows:
            name = f"part-{samples:012d}.parquet"
            _write(pa.Table.from_pylist(rows, schema=_SCHEMA), storage.join(self._folder, name))

    def forget_after(self, samples: int) -> None:
        """Removes the parts of checkpoints that the run no longer has."""
        for uri in self._parts():
            if int(uri.rsplit("-", 1)[1].removesuffix(".parquet")) > samples:
                storage.delete(uri)

    def merge(self) -> dict[str, int]:
        """Writes ``rejects.parquet``, each sample once, in the order of ids; counts by reason."""
        rows: dict[str, dict[str, str]] = {}
        for uri in self._parts():
            part = pq.read_table(pa.BufferReader(storage.read_bytes(uri)))
            rows |= {row["id"]: row for row in part.to_pylist() if row["id"] not in rows}
        table = pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=_SCHEMA)
        _write(table, storage.join(self._run_uri, MERGED))
        return dict(Counter(row["reason"] for row in rows.values()).most_common())

    def clear(self) -> None:
        """Removes the parts, once the run is done and nothing needs them again."""
        for uri in self._parts():
            storage.delete(uri)

    def _parts(self) -> list[str]:
        """In the order of their checkpoints."""
        try:
            return [file.uri for file in storage.list_files(self._folder, suffix=".parquet")]
        except FileNotFoundError:
            return []


def _write(table: pa.Table, uri: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    storage.write_bytes(uri, sink.getvalue())
