"""Which columns of a list hold the paths, the texts and the groups, and the item of a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from crnn.errors import DataError
from pipelines.sources.format import SourceOptions
from pipelines.sources.item import Item, unusable, without_label
from pipelines.sources.values import NotTextError, group_of, text_of
from pipelines.stores import is_picture_name

PATH_COLUMNS = (
    *("path", "file", "image", "filename", "file_name"),
    *("image_path", "img_path", "image_file", "img", "filepath", "file_path"),
)
TEXT_COLUMNS = ("text", "label", "transcription", "words", "transcript")
_LOG = logging.getLogger(__name__)
Pictured = Callable[[str, str, str, str], Item]
"""Line, path, text and group → item."""


class Columns(NamedTuple):
    """Names of the columns as the list has them."""

    path: str
    text: str
    group: str
    """Empty for none."""


def columns_in(name: str, found: Sequence[str], options: SourceOptions) -> Columns:
    """The columns of a list with a header, or of one object; case and spaces around don't count.

    Raises:
        DataError: when one is missing, or a name is there twice.
    """
    by_name = by_names(name, found)
    path = pick(by_name, options.image_column, PATH_COLUMNS)
    text = pick_text(by_name, options)
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
        headless = "; a line above it must name them" if any(map(is_picture_name, found)) else ""
        raise DataError(
            f"{name} has the columns {list(by_name)}; expected {' and '.join(wanted)}{headless}; "
            "name others with --image-column, --text-column and --group-column"
        )
    return Columns(path, text, group)


def pick_text(by_name: Mapping[str, str], options: SourceOptions) -> str | None:
    """The column of the texts; where several may be, that is said once."""
    found = pick(by_name, options.text_column, TEXT_COLUMNS)
    others = tuple(by_name[one] for one in TEXT_COLUMNS if by_name.get(one, found) != found)
    if found and others and not options.text_column:
        _tell_of_choice(found, others)
    return found


@cache
def _tell_of_choice(text: str, others: tuple[str, ...]) -> None:
    """Say once which of several columns that may be texts is taken."""
    _LOG.warning(
        "there are the columns %s; %r is taken as the text, --text-column names another",
        ", ".join(map(repr, (text, *others))), text,
    )  # fmt: skip


def by_names(where: str, found: Sequence[str]) -> dict[str, str]:
    """Columns by their names in lower case, without spaces around.

    Raises:
        DataError: when a name is there twice.
    """
    plain = [(column or "").strip().lower() for column in found]
    twice = sorted({name for name in plain if name and plain.count(name) > 1})
    if twice:
        raise DataError(
            f"{where} has the column {', '.join(map(repr, twice))} twice; rename one of them"
        )
    return dict(zip(plain, found, strict=True))


def pick(by_name: Mapping[str, str], asked: str, usual: Sequence[str]) -> str | None:
    """The column asked for, else the first usual one that there is."""
    wanted = [asked.strip().lower()] if asked else usual
    return next((by_name[name] for name in wanted if name in by_name), None)


def row_item(where: str, row: Mapping[str, Any], columns: Columns, pictured: Pictured) -> Item:
    """The item of one row; a reject where its path or its text isn't one."""
    values: list[str] = []
    for name in columns[:2]:
        try:
            is_null = name == columns.text and row[name] is None
            values.append("" if is_null else text_of(row[name]))
        except NotTextError as error:
            return unusable(where, "bad_line", f"{name}: {error}")
    try:
        belongs = group_of(row.get(columns.group)) if columns.group else ""
    except NotTextError as error:
        return unusable(where, "bad_line", f"{columns.group}: {error}")
    item = pictured(where, values[0], values[1], belongs)
    return without_label(item) if row[columns.text] is None else item
