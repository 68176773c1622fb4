"""Rows of a list of pictures as its file has them: text from CSV, typed values from Parquet.

Each block holds the same columns as the header, and tells what is wrong with single rows, so that
one row never decides what the others are.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition.list_columns import URI, ColumnPlaces, cleaned
from pipelines.sources.delimited import NAMED_DELIMITER, DelimitedRow, Line, records, split
from pipelines.sources.ranged import lines_in, open_ranged
from pipelines.stores import is_picture_name

BLOCK_ROWS = 4096
_DELIMITERS = ",;\t|"
_AROUND = ' "'
"""What may stand around a field."""
_SHOWN = 80
"""Characters of a line that a message has."""
_HEAD_BYTES = 1 << 16
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte-order marks of UTF-16, and of UTF-32, which begins with the same."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some rows of a list, in order."""

    numbers: Sequence[int]
    """Lines of the file (the first of a row of several), or rows from 1."""
    columns: Sequence[Sequence[Any]]
    """In the header's order; None, text, numbers, lists of numbers."""
    problems: dict[int, str] = field(default_factory=dict)
    """What is wrong with a row, by its place in the block."""


@dataclass(frozen=True, kw_only=True)
class ListFile:
    """A list that is open."""

    header: Sequence[str]
    blocks: Callable[[ColumnPlaces], Iterator[Block]]
    """All rows; DataError where a column is of a type that can't be what it means."""
    decimal_comma: bool = False
    """Whether numbers may have a comma: where fields are told apart by another character."""


def open_csv(uri: str, stack: ExitStack) -> ListFile:
    """A list of lines, ``.gz`` or not, whose fields ``,``, ``;``, ``|`` or tabs tell apart.

    Raises:
        FileNotFoundError: when there is no such file.
        DataError: when it is empty, not UTF-8, or no table of text.
    """
    file = stack.enter_context(open_ranged(uri))
    if storage.split_options(uri)[0].lower().endswith(".gz"):
        unpacked: Any = stack.enter_context(gzip.GzipFile(fileobj=file))
        file = io.BufferedReader(unpacked)
    _refuse_encoding(uri, _read(uri, lambda: file.peek(_HEAD_BYTES)))
    lines = lines_in(file)
    delimiter, header = _header(uri, lines)
    return ListFile(
        header=header,
        blocks=lambda columns: _csv_blocks(uri, lines, len(header), delimiter, columns),
        decimal_comma=delimiter != ",",
    )


def open_parquet(uri: str, stack: ExitStack) -> ListFile:
    """A list as Parquet. Raises as ``open_csv``."""
    raw = stack.enter_context(open_ranged(uri))
    file = _read(uri, lambda: pq.ParquetFile(raw))
    schema = file.schema_arrow
    return ListFile(
        header=schema.names,
        blocks=lambda columns: _parquet_blocks(uri, file, schema, columns),
    )


def _read(uri: str, action: Callable[[], Any]) -> Any:
    """What the action gives; DataError, with the list's address, where it can't."""
    try:
        return action()
    except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
        raise DataError(f"{uri} can't be read as a list of pictures: {error}") from error


def _refuse_encoding(uri: str, head: bytes) -> None:
    if head.startswith(_WIDE_MARKS) or b"\0" in head[:64]:
        raise DataError(f"{uri} is UTF-16 (or no text at all); expected UTF-8: save it so")


def _header(uri: str, lines: Iterator[Line]) -> tuple[str, list[str]]:
    """The character between fields, and the names of the columns."""
    _, line, complaint = _read(uri, lambda: next(lines, (1, "", "")))
    named = line[-1] if line.lower()[:-1] == NAMED_DELIMITER else ""
    if named:
        _, line, complaint = _read(uri, lambda: next(lines, (2, "", "")))
    if complaint:
        raise DataError(f"the first line of {uri} is {complaint}; save the list as UTF-8")
    if not line:
        raise DataError(f"{uri} is empty; expected a line of column names, then one a picture")
    delimiter = named or _delimiter(line)
    try:
        return delimiter, split(line, delimiter)[0]
    except ValueError as error:
        raise DataError(f"{uri} has no line of column names: {error}") from None


def _delimiter(line: str) -> str:
    """The one that makes the first line a header with a column of addresses; else a comma."""

    def fits(delimiter: str) -> tuple[bool, int]:
        names = [cleaned(name.strip(_AROUND)) for name in line.split(delimiter)]
        return any(name in URI for name in names), len(names)

    return max(_DELIMITERS, key=fits)


def _csv_blocks(
    uri: str, lines: Iterator[Line], width: int, delimiter: str, columns: ColumnPlaces
) -> Iterator[Block]:
    def is_row(fields: list[str]) -> bool:
        row = _joined(fields, width, delimiter)
        if len(row) != width:
            return False
        address = row[columns.uri].strip(_AROUND)
        return "/" in address or is_picture_name(address)

    rows = records(lines, delimiter, is_row)
    while some := _read(uri, lambda: list(islice(rows, BLOCK_ROWS))):
        problems: dict[int, str] = {}
        whole: list[list[str]] = []
        numbers: list[int] = []
        for record in some:
            fields = _joined(record.fields, width, delimiter)
            wrong = _wrong_with(record, fields, width)
            if not wrong and not any(map(str.strip, fields)):
                continue
            if wrong:
                problems[len(whole)] = wrong
                fields = [""] * width
            whole.append(fields)
            numbers.append(record.line)
        if whole:
            yield Block(numbers=numbers, columns=list(zip(*whole, strict=True)), problems=problems)


def _joined(fields: list[str], width: int, delimiter: str) -> list[str]:
    """Fields of a row: in a list of one column nothing needs to be told apart."""
    return [delimiter.join(fields)] if width == 1 and len(fields) > 1 else fields


def _wrong_with(record: DelimitedRow, fields: list[str], width: int) -> str:
    """Why a row can't be understood; empty where it can."""
    if record.complaint.startswith("not UTF-8"):
        return f"it is {record.complaint}; save the list as UTF-8"
    if record.complaint:
        return f"{record.complaint}: {record.text[:_SHOWN]!r}"
    return "" if len(fields) == width else f"it has {len(fields)} fields; the header has {width}"


def _parquet_blocks(
    uri: str, file: pq.ParquetFile, schema: pa.Schema, columns: ColumnPlaces
) -> Iterator[Block]:
    etag = () if columns.etag is None else (columns.etag,)
    used = sorted({columns.uri, *columns.region, *etag})
    for place in used:
        _check_type(uri, schema.field(place), columns, place)
    batches = file.iter_batches(BLOCK_ROWS, columns=[schema.field(place).name for place in used])
    first = 1
    while (batch := _read(uri, lambda: next(batches, None))) is not None:
        read = {place: _values(batch.column(at)) for at, place in enumerate(used)}
        found = [read.get(place, ([], {}))[0] for place in range(len(schema))]
        problems = {row: what for _, bad in read.values() for row, what in bad.items()}
        numbers = range(first, first + len(batch))
        yield Block(numbers=numbers, columns=found, problems=problems)
        first += len(batch)


def _check_type(uri: str, column: pa.Field, columns: ColumnPlaces, place: int) -> None:
    kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
    if place == columns.uri:
        fits, expected = _is_text(kind), "text"
    elif place == columns.etag:
        fits, expected = _is_text(kind) or kinds.is_integer(kind), "text"
    elif len(columns.region) > 1:
        fits, expected = _is_number(kind), "numbers"
    else:
        fits, expected = _is_numbers(kind), "lists of numbers, or text such as '1 2 30 12'"
    if not fits and not kinds.is_null(kind):
        raise DataError(
            f"{uri} can't be read as a list of pictures: its column {column.name!r} is "
            f"{column.type}; expected {expected}"
        )


def _is_text(kind: pa.DataType) -> bool:
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_binary,
             kinds.is_large_binary)  # fmt: skip
    return any(test(kind) for test in tests)


def _is_number(kind: pa.DataType) -> bool:
    tests = (kinds.is_integer, kinds.is_floating, kinds.is_decimal)
    return any(test(kind) for test in tests) or _is_text(kind)


def _is_numbers(kind: pa.DataType) -> bool:
    """A list of numbers, a list of points, or text."""
    if _is_text(kind):
        return True
    if not _is_list(kind):
        return False
    inner = kind.value_type
    return _is_number(inner.value_type if _is_list(inner) else inner)


def _is_list(kind: pa.DataType) -> bool:
    tests = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _values(column: pa.Array) -> tuple[list[Any], dict[int, str]]:
    """Python values, bytes as text, and the rows whose bytes are none."""
    values = column.to_pylist()
    if not any(isinstance(value, bytes) for value in values):
        return values, {}
    problems: dict[int, str] = {}
    for row, value in enumerate(values):
        if isinstance(value, bytes):
            try:
                values[row] = value.decode()
            except UnicodeDecodeError:
                values[row], problems[row] = None, "it isn't UTF-8"
    return values, problems
