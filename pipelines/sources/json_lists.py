"""Lists of labels in JSON: an object a line, an array of objects, or docTR's path → text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources.columns import Pictured, columns_in, row_item
from pipelines.sources.files import may_be_there
from pipelines.sources.format import Opened
from pipelines.sources.item import Item, unusable, without_label
from pipelines.sources.ranged import numbered_lines
from pipelines.sources.values import NotTextError, parse_json, text_of

_MOST_BYTES = 1 << 30
"""Limit of a list that is one JSON document: it is held in memory."""
_PICTURES_FOLDER = "images"
"""Where docTR keeps the pictures that its labels.json names."""


def read_jsonl(source: Opened, name: str, pictured: Pictured) -> Iterator[Item]:
    """A JSON object a line."""
    for number, line, complaint in numbered_lines(source.address(name)):
        where = f"{name}:{number}"
        try:
            row = {} if complaint else parse_json(line)
        except (ValueError, RecursionError) as error:
            row, complaint = {}, f"not a JSON object: {error}: {line[:80]!r}"
        yield _object_item(where, row, complaint, source, pictured)


def read_json(source: Opened, name: str, pictured: Pictured) -> Iterator[Item]:
    """One JSON text: ``{"img_1.jpg": "text"}`` as docTR has it, or an array of objects.

    docTR's paths are below ``images/``, unless the first of them is a picture beside the list.
    """
    whole = whole_json(source.address(name))
    if isinstance(whole, list):
        for number, row in enumerate(whole, start=1):
            yield _object_item(f"{name}:{number}", row, "", source, pictured)
    elif isinstance(whole, dict):
        folder = _folder_of(source, next(iter(whole), ""))
        for number, (path, value) in enumerate(whole.items(), start=1):
            where = f"{name}:{number}"
            try:
                if value is None:
                    yield without_label(pictured(where, folder + path, "", ""))
                else:
                    yield pictured(where, folder + text_of(path), text_of(value), "")
            except NotTextError as error:
                yield unusable(where, "bad_line", f"{path[:80]!r}: {error}")
    else:
        raise DataError(
            f"{name} is {str(whole)[:40]!r}; expected an object of paths and texts, or an array of "
            "objects"
        )


def whole_json(address: str) -> Any:
    """A file that is one JSON text.

    Raises:
        DataError: when it is none, or too large.
    """
    data = storage.read_bytes(address, most=_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DataError(f"{address} has more than {_MOST_BYTES} bytes; save it as .jsonl")
    try:
        return parse_json(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{address} is not UTF-8: {error}; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{address} is no JSON: {error}") from None


def _folder_of(source: Opened, first: str) -> str:
    """``images/`` where docTR's pictures are, else nothing."""
    if not first or may_be_there(source.address(first)):
        return ""
    in_folder = may_be_there(source.address(f"{_PICTURES_FOLDER}/{first}"))
    return f"{_PICTURES_FOLDER}/" if in_folder else ""


def _object_item(where: str, row: Any, complaint: str, source: Opened, pictured: Pictured) -> Item:
    if complaint or not isinstance(row, dict) or not row:
        return unusable(where, "bad_line", complaint or f"no JSON object: {str(row)[:80]!r}")
    try:
        columns = columns_in(where, list(row), source.options)
    except DataError as error:
        return unusable(where, "bad_line", str(error))
    return row_item(where, row, columns, pictured)
