"""Inputs that a file names: a user's list of addresses, or the shards of a prepared set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from crnn import storage
from crnn.errors import DataError
from crnn.region import from_box
from pipelines.manifest import load_manifest
from pipelines.prefixes import inside
from pipelines.recognition.inputs import REGION, ROW_MARK, SCHEMA
from pipelines.stores import file_at

LIST_SUFFIXES = (".parquet", ".csv")
_BOX = ("x0", "y0", "x1", "y1")
_READ_ROWS = 4096
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def listed(uri: str) -> Iterator[pa.Table]:
    """Tables of ``SCHEMA`` of a ``.parquet`` or ``.csv`` file with a column ``uri``.

    It may have an ``etag`` (without one, a file counts as unchanged for ever), and what is to be
    cut out of the picture: ``x0 y0 x1 y1``, a ``box`` of these four, or a ``polygon`` of eight
    numbers, px. A row whose box is null means the whole picture.

    Raises:
        DataError: when it is missing, can't be read, has no such column, or other things in it.
    """
    storage.check_file(uri)
    system, path = storage.resolve(uri)
    try:
        with system.open_input_file(path) as file:
            for batch in _batches(uri, file):
                if "uri" not in batch.schema.names:
                    raise DataError(f"{uri} has columns {batch.schema.names}; expected one 'uri'")
                yield _taken(uri, pa.Table.from_batches([batch]))
    except FileNotFoundError:
        raise DataError(f"there is no list of pictures at {uri}") from None
    except pa.ArrowException as error:
        raise DataError(f"{uri} can't be read as a list of pictures: {error}") from error


def samples_of(uri: str, prefixes: tuple[str, ...] = ()) -> Iterator[pa.Table]:
    """The samples of a prepared set, a table for each row group of its shards.

    Raises:
        DataError: when the set is unfinished or damaged, or has a shard outside ``prefixes``.
    """
    for shard in load_manifest(uri).shards:
        address = storage.join(uri, shard.name)
        if inside(address, prefixes) is None:
            raise DataError(
                f"{uri} names the shard {shard.name!r}, outside the folders that may be read: "
                f"{', '.join(prefixes)}; prepare the data again"
            )
        entry = _shard(address)
        bare, options = storage.split_options(entry["uri"])
        start = 0
        for rows in shard.row_groups:
            uris = [f"{bare}{ROW_MARK}{row}{options}" for row in range(start, start + rows)]
            start += rows
            etags = pa.repeat(pa.scalar(entry["etag"], pa.string()), rows)
            nothing = pa.nulls(rows)
            yield pa.table(
                [pa.array(uris), etags, nothing.cast(pa.int64()), nothing.cast(REGION)],
                schema=SCHEMA,
            )


def _batches(uri: str, file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    if storage.split_options(uri)[0].lower().endswith(".csv"):
        return iter(pyarrow.csv.open_csv(file))
    return cast(Iterator[pa.RecordBatch], pq.ParquetFile(file).iter_batches(_READ_ROWS))


def _shard(address: str) -> dict[str, Any]:
    try:
        return file_at(address)
    except OSError as error:
        raise DataError(f"the shard {address} is gone: {error}; prepare the data again") from error


def _taken(uri: str, table: pa.Table) -> pa.Table:
    try:
        return _inputs(table)
    except (TypeError, ValueError) as error:  # pa.ArrowException has such kinds too
        raise DataError(f"{uri} can't be taken as a list of pictures: {error}") from error


def _absolute(uri: str | None) -> str:
    """What means no place at all stays as it is, and its row becomes an error when it is read."""
    try:
        return storage.absolute(uri) if uri else ""
    except (RuntimeError, ValueError):  # another's home, a null byte
        return uri or ""


def _inputs(table: pa.Table) -> pa.Table:
    uris = [_absolute(uri) for uri in table["uri"].cast(pa.string()).to_pylist()]
    missing = pa.nulls(len(uris))
    etags = table["etag"] if "etag" in table.column_names else missing
    return pa.table(
        [
            pa.array(uris, pa.string()),
            etags.cast(pa.string()).fill_null(""),
            missing.cast(pa.int64()),
            pa.array(_regions(table), REGION),
        ],
        schema=SCHEMA,
    )


def _regions(table: pa.Table) -> list[list[float] | None]:
    """Corners as the table gives them; a wrong number of them is left for the reader to reject."""
    for name in ("polygon", "box"):
        if name in table.column_names:
            return [_corners(_numbers(value)) for value in table[name].to_pylist()]
    if all(name in table.column_names for name in _BOX):
        rows = zip(*(table[name].to_pylist() for name in _BOX), strict=True)
        return [None if None in row else _corners([float(n) for n in row]) for row in rows]
    return [None] * len(table)


def _numbers(value: Any) -> list[float] | None:
    """The numbers in a list, in a list of points, or in a text such as ``"1 2, 3 4"``."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return [float(number) for number in _NUMBER.findall(value)]
    flat = [n for part in value for n in (part if isinstance(part, (list, tuple)) else [part])]
    return [float("nan") if number is None else float(number) for number in flat]


def _corners(numbers: list[float] | None) -> list[float] | None:
    return list(from_box(*numbers)) if numbers and len(numbers) == 4 else numbers
