"""The encoded bytes of inputs: files by address, rows of shards, some ahead of their use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.brief import brief
from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.sandbox.pool import Encoded
from pipelines.prefixes import inside
from pipelines.read_ahead import sized_ahead
from pipelines.recognition.inputs import ROW_MARK
from pipelines.recognition.lists import BAD_LINE
from pipelines.sources.files import MAX_PICTURE_BYTES, bounded, too_large
from pipelines.versions import newer_version

NOT_ALLOWED = "not_allowed"
"""Error of an input that lies outside the folders that a job may read."""
CHANGED = "changed"
"""Error of a file that isn't any more what was read."""
_LONGEST_ADDRESS = 4 * 4096
"""Length of a path of 4,096 bytes when percent-encoded, with some room."""
UNOPENED = frozenset({"not_found", "unreadable", NOT_ALLOWED, BAD_LINE})
"""Errors of inputs of which not a byte was read."""
_SHARD_ROW = re.compile(rf"(.*\.parquet){ROW_MARK}(\d+)", re.DOTALL)

Entry = dict[str, Any]
"""A row of ``inputs.SCHEMA``."""
Prefixes = tuple[str, ...]
"""Folders that files must lie in to be read; none for all."""


def encoded(tables: Iterable[Sequence[Entry]], prefixes: Prefixes = ()) -> Iterator[Encoded]:
    """The files of these inputs in their order; neighbours that share a file come as one.

    Files of an object store are read by several threads, some ahead of what is taken, beyond the
    end of a table too; so tables are taken when they are needed. A file that lies outside
    ``prefixes`` is not touched, and its error is ``not_allowed``.
    """
    for is_local, run in groupby(tables, key=_is_local):
        jobs = chain.from_iterable(_jobs(entries, prefixes) for entries in run)
        if is_local:
            for _, read in jobs:
                yield from read()
        else:
            for files in sized_ahead(jobs, _size_of):
                yield from files


def _is_local(entries: Sequence[Entry]) -> bool:
    return all(storage.is_local(entry["uri"]) for entry in entries)


def picture_bytes(uri: str, etag: str = "") -> bytes:
    """The encoded picture of one input, in the version of an ``etag`` as far as that can be told.

    Raises:
        PictureError: ``not_found``, ``unreadable``, ``too_large`` or ``changed``.
    """
    shard, row = shard_row(uri)
    data = _rows_of(shard, [row])[0] if shard else _file(uri, etag=etag)
    if isinstance(data, PictureError):
        raise data
    return data


def shard_row(uri: str) -> tuple[str, int]:
    """Address of the shard and number of the row that ``uri`` means; "" for a file of its own."""
    if ROW_MARK not in uri:
        return "", -1
    bare, options = storage.split_options(uri)
    match = _SHARD_ROW.fullmatch(bare)
    return (match[1] + options, int(match[2])) if match else ("", -1)


def _jobs(
    entries: Sequence[Entry], prefixes: Prefixes
) -> Iterator[tuple[int, Callable[[], list[Encoded]]]]:
    """Bytes to expect (0: not known), and what reads them, for each run of inputs of one file."""
    for refused, run in groupby(entries, key=_is_refused):
        if refused:
            yield 0, _refusal(list(run))
            continue
        for shard, rows in groupby(run, key=lambda entry: shard_row(entry["uri"])[0]):
            if shard:
                yield 0, _shard_job(shard, list(rows), prefixes)
                continue
            for uri, same in groupby(rows, key=lambda entry: str(entry["uri"])):
                members = list(same)
                yield members[0]["size"] or 0, _file_job(uri, members, prefixes)


def _is_refused(entry: Entry) -> bool:
    return entry.get("problem") is not None or (
        entry["region"] is not None and len(entry["region"]) != 8
    )


def _refusal(members: list[Entry]) -> Callable[[], list[Encoded]]:
    errors = [_refused(member) for member in members]
    return lambda: [Encoded(data=error) for error in errors]


def _refused(entry: Entry) -> PictureError:
    """Why there is nothing to read, told when it was listed; plans of old don't tell."""
    problem, region = entry.get("problem"), entry["region"]
    if problem is not None:
        return PictureError(problem["code"], problem["message"])
    return PictureError(
        "bad_region",
        f"the region {region} has {len(region)} numbers; expected a box of 4 or a polygon of 8",
    )


def _file_job(uri: str, members: list[Entry], prefixes: Prefixes) -> Callable[[], list[Encoded]]:
    regions = tuple(_region(member) for member in members)
    size = members[0]["size"]
    return lambda: [Encoded(data=_file(uri, size, prefixes), regions=regions)]


def _shard_job(shard: str, members: list[Entry], prefixes: Prefixes) -> Callable[[], list[Encoded]]:
    rows = [shard_row(member["uri"])[1] for member in members]
    regions = [_region(member) for member in members]

    def read() -> list[Encoded]:
        pictures = _rows_of(shard, rows, prefixes)
        pairs = zip(pictures, regions, strict=True)
        return [Encoded(data=data, regions=(region,)) for data, region in pairs]

    return read


def _region(entry: Entry) -> Any:
    return None if entry["region"] is None else tuple(entry["region"])


def _size_of(files: list[Encoded]) -> int:
    return sum(len(file.data) for file in files if isinstance(file.data, bytes))


def _file(
    uri: str, size: int | None = None, prefixes: Prefixes = (), etag: str = ""
) -> bytes | PictureError:
    """The whole file, or why it can't be had; one that is too large is not read to its end."""
    if len(uri) > _LONGEST_ADDRESS:
        return PictureError("not_found", f"no file at {brief(uri)}: the name is too long")
    address = inside(uri, prefixes)
    if address is None:
        return _outside(uri)
    try:
        if (size or 0) > MAX_PICTURE_BYTES:
            return too_large(uri)
        found = storage.read_version(address, most=MAX_PICTURE_BYTES + 1)
        newer = newer_version(uri, etag, found)
        return _changed(uri, etag, newer) if newer else bounded(found.data, uri)
    except FileNotFoundError:
        return PictureError("not_found", f"no file at {uri!r}")
    except (DataError, OSError, RuntimeError, ValueError) as error:
        return PictureError("unreadable", f"can't read {uri!r}: {error}")


def _changed(uri: str, etag: str, newer: str) -> PictureError:
    return PictureError(
        CHANGED,
        f"{uri!r} was read in version {etag}, and is there in version {newer}; read it again: run "
        "jobs/recognize.py",
    )


def _outside(uri: str) -> PictureError:
    return PictureError(NOT_ALLOWED, f"{uri!r} lies outside the folders that this job may read")


def _rows_of(
    shard: str, rows: Sequence[int], prefixes: Prefixes = ()
) -> list[bytes | PictureError]:
    """The pictures of these rows of a shard."""
    address = inside(shard, prefixes)
    if address is None:
        return [_outside(shard)] * len(rows)

    def read() -> list[bytes | PictureError]:
        storage.check_file(address)
        system, path = storage.resolve(address)
        with system.open_input_file(path) as file, pq.ParquetFile(file) as parquet:
            return _taken(parquet, shard, rows)

    try:
        return storage.attempt("read", shard, read)
    except FileNotFoundError:
        error = PictureError("not_found", f"no shard at {shard!r}")
    except (DataError, RuntimeError, ValueError, pa.ArrowException) as cause:
        error = PictureError("unreadable", f"can't read {shard!r}: {cause}")
    return [error] * len(rows)


def _taken(parquet: pq.ParquetFile, shard: str, rows: Sequence[int]) -> list[bytes | PictureError]:
    if "image" not in parquet.schema_arrow.names:
        raise DataError(f"it has no column 'image' but {brief(parquet.schema_arrow.names)}")
    found: dict[int, bytes | PictureError] = {}
    start = 0
    for index in range(parquet.num_row_groups):
        past = start + parquet.metadata.row_group(index).num_rows
        wanted = [row for row in rows if start <= row < past]
        if wanted:
            pictures = parquet.read_row_group(index, columns=["image"])["image"]
            found |= {row: _picture(pictures[row - start].as_py(), shard) for row in wanted}
        start = past
    missing = PictureError("not_found", f"{shard!r} has {start} rows")
    return [found.get(row, missing) for row in rows]


def _picture(value: object, shard: str) -> bytes | PictureError:
    """The column ``image`` of the file that was named."""
    if not isinstance(value, bytes):
        kind = type(value).__name__
        return PictureError("unreadable", f"{shard!r} has {kind} for a picture; expected bytes")
    return bounded(value, shard)
