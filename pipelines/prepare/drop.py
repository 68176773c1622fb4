"""Samples that an inspection found and a preparation leaves out: ``findings.parquet``, read.

Of each such sample the driver keeps 16 bytes of a hash, its kind and its message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from pipelines.inspection.findings_file import FINDINGS_NAME, FINDINGS_SCHEMA, SETS_KEY
from pipelines.inspection.kinds import Side
from pipelines.keys import NO_KEYS, among, hashed, position


class Dropped(NamedTuple):
    """Why a sample is left out."""

    kind: str
    message: str


class Drops:
    """The samples to leave out, by number of the source and id; remembers which ones came by."""

    def __init__(self, found: pa.Table) -> None:
        """``found`` has source, id, kind and message; of a sample's rows the first counts."""
        sources, ids = found["source"].to_numpy(), found["id"]
        keys = np.empty(len(found), NO_KEYS.dtype)
        for number in np.unique(sources):
            places = np.flatnonzero(sources == number)
            keys[places] = hashed(_keys(int(number), ids.take(pa.array(places)).to_pylist()))
        self._keys, first = np.unique(keys, return_index=True)
        self._found = found.take(pa.array(first))
        self._met = np.zeros(len(first), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, number: int, ids: Sequence[str]) -> list[Dropped | None]:
        """For each sample of source ``number`` why it is left out, or None."""
        if not len(self._keys):
            return [None] * len(ids)
        wanted = hashed(_keys(number, ids))
        places, hits = position(wanted, self._keys), among(wanted, self._keys)
        self._met[places[hits]] = True
        return [
            self._dropped(place) if hit else None
            for place, hit in zip(places.tolist(), hits.tolist(), strict=True)
        ]

    def not_met(self, most: int) -> tuple[int, list[str]]:
        """How many of them no source had, and the ids of the first of these."""
        left = np.flatnonzero(~self._met)
        return len(left), sorted(self._found["id"].take(pa.array(left[:most])).to_pylist())

    def _dropped(self, place: int) -> Dropped:
        return Dropped(self._found["kind"][place].as_py(), self._found["message"][place].as_py())


def read_drops(
    address: str, kinds: Sequence[str], side: Side, source_uris: Sequence[str]
) -> tuple[Drops, str]:
    """The samples of some sources to leave out, and the sha256 of the file.

    Args:
        address: of ``findings.parquet``, or of the folder of the inspection.
        kinds: of findings; of a sample with several, the first of these is the reason.
        side: of leaks, which one is left out.
        source_uris: whose samples; a set of the inspection is the source of its address, else
            the one source whose address ends in its name.

    Raises:
        DataError: the file is missing or something else, or none of its sets is a source.
        ValueError: no kinds are given.
    """
    if not address.endswith(".parquet"):
        address = storage.join(address, FINDINGS_NAME)
    file, digest = _open(address)
    if not kinds:
        raise ValueError(f"--drop needs --kinds; {address} has {_counted(file)}")
    numbers = _sources_of(address, _sets(address, file), source_uris)
    tables = [table for batch in _batches(file) for table in _of(batch, kinds, side, numbers)]
    rank = {kind: place for place, kind in enumerate(kinds)}
    found = pa.concat_tables([*tables, _NOTHING])
    order = np.argsort([rank[kind] for kind in found["kind"].to_pylist()], kind="stable")
    return Drops(found.take(pa.array(order, pa.int64()))), digest


_NOTHING = pa.schema(
    [("source", pa.int32()), ("id", pa.string()), ("kind", pa.string()), ("message", pa.string())]
).empty_table()


def _keys(number: int, ids: Sequence[str]) -> list[str]:
    return [f"{number}\0{id}" for id in ids]


def _open(address: str) -> tuple[pq.ParquetFile, str]:
    try:
        data = storage.read_bytes(address)
    except FileNotFoundError:
        raise DataError(
            f"there is no {address}; expected the {FINDINGS_NAME} that crnn inspect writes"
        ) from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        lacking = set(FINDINGS_SCHEMA.names) - set(file.schema_arrow.names)
    except pa.ArrowException as error:
        raise DataError(f"{address} isn't a Parquet file: {error}") from error
    if lacking:
        raise DataError(
            f"{address} lacks the columns {', '.join(sorted(lacking))}; expected the "
            f"{FINDINGS_NAME} that crnn inspect writes"
        )
    return file, hashlib.sha256(data).hexdigest()


def _sets(address: str, file: pq.ParquetFile) -> Mapping[str, str]:
    sets = json.loads((file.schema_arrow.metadata or {}).get(SETS_KEY, b"{}"))
    if not isinstance(sets, dict) or not sets:
        raise DataError(f"{address} doesn't say which sets it is about; inspect them again")
    return sets


def _counted(file: pq.ParquetFile) -> str:
    counts = file.read(columns=["kind"])["kind"].value_counts().to_pylist()
    return ", ".join(f"{c['values']} ({c['counts']:,})" for c in counts) or "no findings"


def _sources_of(
    address: str, sets: Mapping[str, str], source_uris: Sequence[str]
) -> dict[str, int]:
    """Number of the source by the name of each set that is one."""
    plain = [storage.split_options(storage.absolute(uri))[0].rstrip("/") for uri in source_uris]
    found = {
        name: plain.index(there)
        for name, uri in sets.items()
        if (there := storage.split_options(uri)[0].rstrip("/")) in plain
    }
    for name in set(sets) - set(found):  # moved since
        ends = [
            number
            for number, uri in enumerate(plain)
            if number not in found.values() and f"/{uri}".endswith(f"/{name}")
        ]
        if len(ends) == 1:
            found[name] = ends[0]
    if not found:
        listed = ", ".join(f"{name} ({uri})" for name, uri in sets.items())
        raise DataError(
            f"{address} is about the sets {listed}, but none of them is a source here "
            f"({', '.join(plain)}); inspect these, or give the sources with those addresses or "
            "names"
        )
    return found


def _batches(file: pq.ParquetFile) -> Iterator[pa.Table]:
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, columns=FINDINGS_SCHEMA.names)


def _of(
    batch: pa.Table, kinds: Sequence[str], side: Side, numbers: Mapping[str, int]
) -> Iterator[pa.Table]:
    """Those of some findings that are wanted, by source."""
    wanted = pc.is_in(batch["kind"], value_set=pa.array(kinds))
    on_side = pc.or_(pc.is_null(batch["side"]), pc.equal(batch["side"], side).fill_null(False))
    # A source that lists an id twice: the second one is a reject anyhow, the first one stays.
    itself = pc.and_(
        pc.equal(batch["id"], batch["with"]), pc.equal(batch["set"], batch["with_set"])
    ).fill_null(False)
    found = batch.filter(pc.and_(pc.and_(wanted, on_side), pc.invert(itself)))
    for name, number in numbers.items():
        rows = found.filter(pc.equal(found["set"], name))
        if len(rows):
            source = pa.array(np.full(len(rows), number), pa.int32())
            yield pa.table([source, rows["id"], rows["kind"], rows["message"]], _NOTHING.schema)
