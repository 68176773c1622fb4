"""``labels``: a list of paths and texts beside the pictures, as .tsv, .csv or .jsonl."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from crnn.errors import DataError
from pipelines.sources.files import whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, pictured, unusable
from pipelines.sources.ranged import numbered_lines, open_ranged

NAMES = ("labels.tsv", "labels.csv", "labels.jsonl", "metadata.csv", "metadata.jsonl")
LIST_SUFFIXES = (".tsv", ".csv", ".jsonl")
PATH_COLUMNS = ("path", "file", "image", "filename", "file_name")
TEXT_COLUMNS = ("text", "label", "transcription")
_FIELD_CHARS = 1 << 20


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file:
        raise Lacks("a folder: of a list file give the folder, and --lists with its name")
    return folder.selected(wanted, NAMES)


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names:
        suffix = name.lower().rpartition(".")[2]
        yield from _READERS.get(suffix, _read_tsv)(source, name)


def _read_tsv(source: Opened, name: str) -> Iterator[Item]:
    """Lines ``path<TAB>text``; further tabs are the text's."""
    for number, line, complaint in numbered_lines(source.address(name)):
        path, tab, text = line.partition("\t")
        where = f"{name}:{number}"
        if complaint or not tab:
            yield unusable(where, "bad_line", complaint or f"no tab in {line[:80]!r}")
        else:
            yield pictured(where, path, text)


def _read_csv(source: Opened, name: str) -> Iterator[Item]:
    """Rows below a header that names the columns, in any order."""
    csv.field_size_limit(_FIELD_CHARS)
    with open_ranged(source.address(name)) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            rows = csv.DictReader(text)
            columns = _columns(name, rows.fieldnames or (), source.options)
            for row in rows:
                yield _row_item(f"{name}:{rows.line_num}", row, columns)
        except csv.Error as error:
            raise DataError(f"{name} is not a CSV: {error}; save it as one") from error


def _read_jsonl(source: Opened, name: str) -> Iterator[Item]:
    """A JSON object a line."""
    for number, line, complaint in numbered_lines(source.address(name)):
        where = f"{name}:{number}"
        row = {} if complaint else _object(line)
        if not row:
            yield unusable(where, "bad_line", complaint or f"no JSON object: {line[:80]!r}")
            continue
        try:
            columns = _columns(name, list(row), source.options)
        except DataError as error:
            yield unusable(where, "bad_line", str(error))
            continue
        yield _row_item(where, row, columns)


_READERS: Mapping[str, Callable[[Opened, str], Iterator[Item]]] = {
    "csv": _read_csv,
    "jsonl": _read_jsonl,
}


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _columns(name: str, found: Sequence[str], options: SourceOptions) -> tuple[str, str, str]:
    """Columns of the path, of the text, and of the group ("" for none)."""
    by_name = {(column or "").strip().lower(): column for column in found}
    path = pick(by_name, options.image_column, PATH_COLUMNS)
    text = pick(by_name, options.text_column, TEXT_COLUMNS)
    group = pick(by_name, options.group_column, ()) or ""
    if path is None or text is None or (options.group_column and not group):
        wanted = [
            f"one of {', '.join(names)}"
            for names in (
                [options.image_column] if options.image_column else PATH_COLUMNS,
                [options.text_column] if options.text_column else TEXT_COLUMNS,
                [options.group_column] if options.group_column else [],
            )
            if names
        ]
        raise DataError(
            f"{name} has the columns {list(by_name)}; expected {' and '.join(wanted)}; name others "
            "with --image-column, --text-column and --group-column"
        )
    return path, text, group


def pick(by_name: Mapping[str, str], asked: str, usual: Sequence[str]) -> str | None:
    """The column asked for, else the first usual one that there is."""
    wanted = [asked.lower()] if asked else usual
    return next((by_name[name] for name in wanted if name in by_name), None)


def _row_item(where: str, row: Mapping[str, Any], columns: tuple[str, str, str]) -> Item:
    path, text, group = (row.get(column) if column else "" for column in columns)
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(path, str) or not isinstance(text, str):
        return unusable(where, "bad_line", f"no path or no text: {path!r}, {text!r}"[:200])
    if not _is_unicode(path + text + str(group)):
        return unusable(where, "bad_line", "not UTF-8")
    return pictured(where, path, text, "" if group is None else str(group))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


LABELS = Format(find=_find, items=_items, reader=whole_files, names_pictures=True)
