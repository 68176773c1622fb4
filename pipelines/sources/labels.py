"""``labels``: a list of paths and texts beside the pictures: .tsv, .csv, .jsonl, .json, or a
``gt.txt`` or ``rec_gt_*.txt`` with tabs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources.columns import (
    PATH_COLUMNS,
    TEXT_COLUMNS,
    Columns,
    Pictured,
    columns_in,
    row_item,
)
from pipelines.sources.delimited import NAMED_DELIMITER, DelimitedRow, records, split
from pipelines.sources.files import may_be_there, readable_of, whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, ListedPaths, unusable
from pipelines.sources.json_lists import read_json, read_jsonl
from pipelines.sources.ranged import numbered_lines
from pipelines.stores import is_picture_name

NAMES = (
    *("labels.tsv", "labels.csv", "labels.jsonl", "metadata.csv", "metadata.jsonl"),
    *("labels.json", "gt.txt", "rec_gt*.txt", "*_GT.txt", "*_gt.txt"),
)
LIST_SUFFIXES = (".tsv", ".csv", ".jsonl", ".json")
_DELIMITERS = (",", ";", "\t", "|")
_PROBED_LINES = 1 << 20
"""That are looked at to tell whether a list with tabs has fields in quotes."""
_LOG = logging.getLogger(__name__)


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file:
        raise Lacks("a folder; for a list file, give its folder and --lists with its name")
    names = folder.selected(wanted, NAMES)
    for name in readable_of(folder.uri, names):
        if not wanted and name.endswith(".txt") and not has_tabs(storage.join(folder.uri, name)):
            raise Lacks(f"a tab between path and text in {name}")
    return names


def has_tabs(address: str) -> bool:
    """Whether the first line of a list is a picture's path, a tab and a text."""
    first = next(numbered_lines(address), None)
    path, tab, _ = first[1].partition("\t") if first else ("", "", "")
    return bool(tab) and ("," not in path or is_picture_name(_paths_in(path)[0].strip(' "')))


def is_list(folder: Folder, name: str) -> bool:
    """Whether a file is a list of labels by its name's end, or has a path and a tab first."""
    if name.lower().endswith(LIST_SUFFIXES):
        return True
    is_text = name.lower().endswith(".txt") and folder.has(name)
    return is_text and has_tabs(storage.join(folder.uri, name))


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names:
        suffix = name.lower().rpartition(".")[2]
        paths = ListedPaths(lambda path: may_be_there(source.address(path)))
        yield from _READERS.get(suffix, _read_tsv)(source, name, paths.pictured)


def _read_tsv(source: Opened, name: str, pictured: Pictured) -> Iterator[Item]:
    """Lines ``path<TAB>text``; or columns below a header that names them.

    Quotes are part of the text, unless the list is written as Excel does.
    """
    address = source.address(name)
    first = next(numbered_lines(address), None)
    header = _header(first[1]) if first else None
    options = source.options
    if header or options.image_column or options.text_column or options.group_column:
        yield from _read_table(
            source, name, pictured, delimiters="\t", with_quotes=_has_quotes(address)
        )
    elif _has_quotes(address):
        for record in records(numbered_lines(address), "\t", _begins_row):
            complaint = record.complaint or _width_complaint(record, 2, "\t")
            if complaint:
                yield unusable(f"{name}:{record.line}", "bad_line", complaint)
            else:
                path, text = record.fields
                yield pictured(f"{name}:{record.line}", path, text, "")
    else:
        for number, line, complaint in numbered_lines(address):
            where, fields = f"{name}:{number}", line.split("\t")
            if complaint or len(fields) != 2:
                complaint = complaint or _no_pair(line, len(fields))
                yield unusable(where, "bad_line", complaint)
            else:
                for path in _paths_in(fields[0]):
                    yield pictured(where, path, fields[1], "")


def _paths_in(field: str) -> list[str]:
    """The path in a field; several pictures of one text stand there as PaddleOCR has them, as a
    list in JSON."""
    if field.startswith("["):
        with suppress(ValueError, RecursionError):
            found = json.loads(field)
            if found and isinstance(found, list) and all(isinstance(one, str) for one in found):
                return found
    return [field]


def _no_pair(line: str, found: int) -> str:
    if found == 1:
        return f"no tab in {line[:80]!r}; expected path<TAB>text"
    return (
        f"expected path<TAB>text, found {found} fields: {line[:80]!r}; if there are other "
        "columns, the first line must name all of them (file<TAB>text<TAB>…)"
    )


def _header(line: str) -> bool:
    """Whether a line with tabs names columns: a usual one for the paths, and one for the texts."""
    names = {name.strip(' "').lower() for name in line.split("\t")}
    return bool(names.intersection(PATH_COLUMNS) and names.intersection(TEXT_COLUMNS))


def _has_quotes(address: str) -> bool:
    """Whether fields are in quotes as Excel writes them: where there are quotes, and for cause."""
    proven = False
    probed = (line for line in islice(numbered_lines(address), _PROBED_LINES) if not line[2])
    for record in records(probed, "\t", _begins_row):
        if record.complaint:
            return False
        if '"' not in record.text:
            continue
        for number, (field, quoted) in enumerate(zip(record.fields, record.quoted, strict=True)):
            if not quoted and '"' in field:
                return False
            proven = proven or (quoted and (number == 0 or any(c in field for c in '",\t\n')))
    return proven


def _begins_row(fields: Sequence[str]) -> bool:
    return len(fields) > 1 and is_picture_name(fields[0])


def _read_table(
    source: Opened,
    name: str,
    pictured: Pictured,
    *,
    delimiters: Sequence[str] = _DELIMITERS,
    with_quotes: bool = True,
) -> Iterator[Item]:
    """Rows below a header that names the columns, in any order."""
    lines = numbered_lines(source.address(name))
    number, line, complaint = next(lines, (1, "", ""))
    if line.lower().startswith(NAMED_DELIMITER) and len(line) == len(NAMED_DELIMITER) + 1:
        delimiters = line[-1]
        number, line, complaint = next(lines, (2, "", ""))
    if complaint:
        raise DataError(f"{name}, line {number}: the header is {complaint}; save it as UTF-8")
    delimiter, header, columns = _table_columns(name, line, delimiters, source.options)
    path_at, text_at = header.index(columns.path), header.index(columns.text)
    takes_rest = (path_at, text_at, len(header)) == (0, 1, 2)

    def is_row(fields: Sequence[str]) -> bool:
        return len(fields) == len(header) and is_picture_name(fields[path_at])

    for record in records(lines, delimiter, is_row, with_quotes=with_quotes):
        where, fields = f"{name}:{record.line}", record.fields
        if takes_rest and len(fields) > 2 and not any(record.quoted):
            fields = list(record.text.partition(delimiter)[::2])
            _tell_of_rest(source.address(name), delimiter)
        complaint = record.complaint or _width_complaint(record, len(header), delimiter)
        if complaint and (record.complaint or len(fields) != len(header)):
            yield unusable(where, "bad_line", complaint)
        else:
            row = dict(zip(header, fields, strict=True))
            yield row_item(where, row, columns, pictured)


@cache
def _tell_of_rest(address: str, delimiter: str) -> None:
    """Say once of a list how its rows are read."""
    _LOG.warning(
        "%s: texts have a %r without quotes around them; everything after the first %r is the text",
        address, delimiter, delimiter,
    )  # fmt: skip


def _table_columns(
    name: str, line: str, delimiters: Sequence[str], options: SourceOptions
) -> tuple[str, list[str], Columns]:
    """Delimiter, header and columns: of the first delimiter that gives the columns wanted."""
    errors: list[DataError] = []
    for delimiter in delimiters:
        try:
            header, _ = split(line, delimiter)
            return delimiter, header, columns_in(f"line 1 of {name}", header, options)
        except ValueError as error:
            errors.append(DataError(f"{name} has no header: {error}"))
        except DataError as error:
            errors.append(error)
    split_at = [number for number, mark in enumerate(delimiters) if mark in line]
    raise errors[split_at[0] if split_at else 0]


def _width_complaint(record: DelimitedRow, width: int, delimiter: str) -> str:
    """Why a row isn't as wide as the header says; empty where it is."""
    found = len(record.fields)
    if found == width:
        return ""
    hint = f"; quote a text that has a {delimiter!r}" if found > width else ""
    return f"expected {width} fields, found {found}: {record.text[:80]!r}{hint}"


_READERS: Mapping[str, Callable[[Opened, str, Pictured], Iterator[Item]]] = {
    "csv": _read_table,
    "jsonl": read_jsonl,
    "json": read_json,
}

LABELS = Format(find=_find, items=_items, reader=whole_files, of_files=True, names_pictures=True)
