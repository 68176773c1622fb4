"""Inputs that a file names: a user's list of addresses, or the shards of a prepared set."""

from __future__ import annotations

import hashlib
import math
import os.path
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa

from crnn.errors import DataError
from crnn.files import storage
from crnn.given import at_home
from crnn.images.region import from_box
from pipelines.manifest import load_manifest
from pipelines.prefixes import inside
from pipelines.recognition.inputs import ROW_MARK, SCHEMA, problem
from pipelines.recognition.list_columns import ColumnPlaces, columns_of
from pipelines.recognition.list_rows import Block, ListFile, open_csv, open_parquet
from pipelines.sources.polygons import NUMBER
from pipelines.stores import file_at

LIST_SUFFIXES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")
BAD_LINE = "bad_line"
"""Error of a list's row that names no picture, or whose region can't be understood."""
_BOX = 4
_NO_NUMBERS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none"})
"""What tables write, in any case, where there is no number."""
_BETWEEN_NUMBERS = re.compile(r"[\s,;\[\]()]*")

_Row = tuple[str, str, None, list[float] | None, dict[str, str] | None]
"""A row of ``SCHEMA``."""


def listed(
    uri: str, ignored: Collection[str] = (), prefixes: tuple[str, ...] = ()
) -> Iterator[pa.Table]:
    """Tables of ``SCHEMA`` of a list with a column ``uri``; addresses are relative to the list.

    Spaces around an address belong to it where there is a file of that name, and else don't.

    It may have an ``etag`` (without one, a file counts as unchanged for ever), and what is to be
    cut out of the picture: ``x0 y0 x1 y1``, a ``box`` of these four, or a ``polygon`` of eight
    numbers, px, or other usual names of these. A row whose box is null means the whole picture.
    A row that can't be understood is an input with the error ``bad_line``.

    Args:
        uri: ``.parquet``, or ``.csv`` or ``.tsv``, plain or with ``.gz``.
        ignored: columns that mean nothing; ``*`` for all others.
        prefixes: folders outside of which it isn't looked whether a file is there.

    Raises:
        DataError: when it is missing, empty, can't be read or isn't UTF-8, or has no such column,
            or others that mean nothing.
    """
    bare = storage.split_options(uri)[0]
    with ExitStack() as stack:
        try:
            file = (open_parquet if bare.lower().endswith(".parquet") else open_csv)(uri, stack)
        except FileNotFoundError:
            raise DataError(f"there is no list of pictures at {uri}") from None
        columns = columns_of(uri, file.header, ignored)
        taker = _Taker(uri, file, columns, prefixes)
        is_empty = True
        for block in file.blocks(columns):
            is_empty = False
            yield taker.table(block)
        if is_empty:
            raise DataError(f"{uri} names no pictures; expected a row for each")


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
            nothing = [pa.nulls(rows, field.type) for field in list(SCHEMA)[2:]]
            yield pa.table([pa.array(uris), etags, *nothing], schema=SCHEMA)


def _shard(address: str) -> dict[str, Any]:
    try:
        return file_at(address)
    except OSError as error:
        raise DataError(f"the shard {address} is gone: {error}; prepare the data again") from error


class _Taker:
    """Makes inputs of a list's rows."""

    def __init__(
        self, uri: str, file: ListFile, columns: ColumnPlaces, prefixes: tuple[str, ...]
    ) -> None:
        self._columns, self._decimal_comma = columns, file.decimal_comma
        self._prefixes = prefixes
        self._list, self._options = storage.split_options(storage.absolute(uri))
        self._unit = "row" if self._list.lower().endswith(".parquet") else "line"

    def table(self, block: Block) -> pa.Table:
        """A table of ``SCHEMA`` with a row for each of the block's."""
        nothing: list[None] = [None] * len(block.numbers)
        columns = self._columns
        names = block.columns[columns.uri]
        etags = nothing if columns.etag is None else block.columns[columns.etag]
        cells = zip(*(block.columns[place] for place in columns.region), strict=True)
        regions: Iterable[tuple] = cells if columns.region else ((),) * len(block.numbers)
        rows = zip(block.numbers, names, etags, regions, strict=True)
        taken = [
            self._row(*row, wrong=block.problems.get(place, "")) for place, row in enumerate(rows)
        ]
        return pa.table(
            [
                pa.array(column, kind)
                for column, kind in zip(_turned(taken), SCHEMA.types, strict=True)
            ],
            schema=SCHEMA,
        )

    def _row(self, number: int, name: Any, etag: Any, cells: tuple, *, wrong: str) -> _Row:
        """The input of one row, or its error under the address of the row itself."""
        try:
            region = None if wrong or not cells else self._region(cells)
        except ValueError as error:
            wrong = f"{error}, for {name!r}"
        if not wrong and (not name or name.isspace()):
            wrong = "it names no picture"
        if not wrong:
            return self._address(name), "" if etag is None else str(etag), None, region, None
        where = f"{self._unit} {number}"
        version = hashlib.sha256(f"{name}{cells}{wrong}".encode(errors="replace")).hexdigest()
        told = problem(BAD_LINE, f"{where} of {self._list}: {wrong}")
        return f"{self._list}{ROW_MARK}{where}{self._options}", version[:16], None, None, told

    def _address(self, name: str) -> str:
        """What a list names, from the list's folder on where it is relative.

        What means no place at all stays as it is, and its row becomes an error when it is read.
        """
        bare = name.strip()
        if bare == name:
            return self._placed(name)
        literal = self._placed(name)
        return literal if self._is_there(literal) else self._placed(bare)

    def _is_there(self, address: str) -> bool:
        """Whether a file may be looked for at this address, and is there."""
        try:
            allowed = inside(address, self._prefixes)
            return allowed is not None and storage.exists(allowed)
        except (DataError, OSError, RuntimeError, ValueError):
            return False

    def _placed(self, name: str) -> str:
        if "://" not in name and not name.startswith("/") and at_home(name) == name:
            return self._below(name)
        try:
            return storage.absolute(name)
        except ValueError:  # a null byte
            return name

    def _below(self, name: str) -> str:
        folder = self._list.rpartition("/")[0]
        if not storage.is_local(self._list):
            store, _, path = f"{folder}/{name}".partition("://")
            climbs = {"", ".", ".."}.intersection(path.split("/"))
            return f"{store}://{posixpath.normpath(path) if climbs else path}{self._options}"
        try:
            literal = storage.absolute(f"{folder}/{name}")
            if "\\" in name and not os.path.lexists(literal):  # written on Windows
                slashed = storage.absolute(f"{folder}/{name.replace(chr(92), '/')}")
                return slashed if os.path.lexists(slashed) else literal
        except ValueError:  # a null byte
            return f"{folder}/{name}"
        return literal

    def _region(self, cells: tuple) -> list[float] | None:
        """Corners; ValueError where they can't be understood. A wrong number of them is left for
        the reader to reject."""
        comma = self._decimal_comma
        if len(cells) == 1:
            numbers = _numbers(cells[0], comma)
        else:
            found = [_number(cell, comma) for cell in cells]
            missing = found.count(None)
            if 0 < missing < len(found):
                raise ValueError(f"some of the numbers {cells} are missing; expected all or none")
            numbers = None if missing else [n for n in found if n is not None]
        if numbers is None or len(numbers) != _BOX:
            return numbers
        if self._columns.shape == "extent":
            left, top, width, height = numbers
            numbers = [left, top, left + width, top + height]
        return list(from_box(*numbers))


def _turned(rows: Sequence[_Row]) -> list[list[Any]]:
    """Columns of the rows."""
    return [list(column) for column in zip(*rows, strict=True)]


def _number(value: Any, decimal_comma: bool) -> float | None:
    """A number, also as text; None where there is none. ValueError for anything else."""
    if not isinstance(value, str):
        return None if value is None else float(value)
    text = value.strip()
    if text.casefold() in _NO_NUMBERS:
        return None
    try:
        return float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        raise ValueError(f"{value!r} is no number") from None


def _numbers(value: Any, decimal_comma: bool) -> list[float] | None:
    """The numbers in a list, in a list of points, or in a text such as ``"1 2, 3 4"``."""
    if isinstance(value, str):
        if value.strip().casefold() in _NO_NUMBERS:
            return None
        if _BETWEEN_NUMBERS.fullmatch(NUMBER.sub("", value)) is None:
            raise ValueError(f"{value!r} isn't a list of numbers")
        return [float(number) for number in NUMBER.findall(value)]
    if value is None:
        return None
    flat = [n for part in value for n in (part if isinstance(part, (list, tuple)) else [part])]
    found = [_number(number, decimal_comma) for number in flat]
    return [math.nan if number is None else number for number in found]
