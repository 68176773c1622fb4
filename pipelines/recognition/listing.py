"""What there is to read: inputs in pages, while the store is listed.

Nothing holds a whole listing: a bucket of any size goes by page by page.
"""

from __future__ import annotations

import fnmatch
import glob
import os.path
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from crnn.errors import DataError
from crnn.files import storage
from pipelines.manifest import MANIFEST_NAME
from pipelines.prefixes import WILD, inside
from pipelines.recognition.inputs import PAGE_ROWS, SCHEMA, pages, problem
from pipelines.recognition.lists import LIST_SUFFIXES, listed, samples_of
from pipelines.stores import files_at, is_folder, is_picture_name


def list_inputs(
    uri: str,
    *,
    all_files: bool = False,
    documents: bool = False,
    without: str = "",
    prefixes: tuple[str, ...] = (),
    ignore_columns: Collection[str] = (),
) -> Iterator[pa.Table]:
    """Pages of ``inputs.SCHEMA`` with every picture that ``uri`` stands for.

    Args:
        uri: a folder or prefix (read with all folders below it), one picture, a pattern
            (``*`` also crosses folders), a list of addresses as ``lists.listed`` takes it, or a
            prepared set. A name with ``*``, ``?`` or ``[`` is a pattern only where nothing has
            that name; so is each folder before it.
        all_files: take files whose names don't look like pictures too.
        documents: take PDFs too.
        without: a folder to leave out: where the results go.
        prefixes: folders that what is listed must lie in, a prepared set's shards included. The
            files that a list names, and those that links lead to, are judged when they are read.
        ignore_columns: columns of a list that mean nothing; ``*`` for all others.

    Raises:
        DataError: when there is nothing at ``uri``, it can't be listed, is a file that is neither
            a picture nor a list by its name, or lies elsewhere.
    """
    bare, options = storage.split_options(uri)
    bare = storage.absolute(bare) if storage.is_local(uri) else bare
    _check_inside(uri, _before_pattern(bare) + options, prefixes)
    root, pattern = _split_pattern(bare, options)
    _check_inside(uri, root + options, prefixes)
    if not pattern and root.lower().endswith(LIST_SUFFIXES) and not is_folder(root + options):
        return pages(listed(root + options, ignore_columns, prefixes))
    if not pattern and storage.exists(storage.join(root + options, MANIFEST_NAME)):
        return samples_of(root + options, prefixes)
    if not pattern and not all_files and not is_picture_name(_name(root), documents=documents):
        _refuse_file(root + options)
    left_out = _below(without) if without else ""

    def wanted(row: dict[str, Any]) -> bool:
        name = _name(row["uri"])
        if left_out and name.startswith(left_out):
            return False
        return "unlisted" in row or (
            (not pattern or fnmatch.fnmatchcase(name, pattern))
            and (all_files or is_picture_name(name, documents=documents))
        )

    return pages(_tables(_input(row) for row in files_at(root + options) if wanted(row)))


def _check_inside(uri: str, place: str, prefixes: tuple[str, ...]) -> None:
    if inside(place, prefixes) is None:
        raise DataError(f"{uri} lies outside the folders that may be read: {', '.join(prefixes)}")


def _refuse_file(uri: str) -> None:
    """Say of one file that isn't taken what else it could be."""
    if storage.exists(uri) and not is_folder(uri):
        raise DataError(
            f"{uri} has no picture's suffix; read it as a picture with --all-files. A list of "
            f"pictures ends in {', '.join(LIST_SUFFIXES)}: save a text with an address on each "
            "line as .csv, with 'uri' as its first line"
        )


def _below(uri: str) -> str:
    """What the names of all files in a folder begin with."""
    return _name(storage.absolute(uri)).rstrip("/") + "/"


def _name(uri: str) -> str:
    """What a pattern is compared with: an address without options, or a path."""
    return storage.local_path(uri) if storage.is_local(uri) else storage.split_options(uri)[0]


def _first_mark(bare: str, start: int = 0) -> int | None:
    return min((at for mark in WILD if (at := bare.find(mark, start)) >= 0), default=None)


def _before_pattern(bare: str) -> str:
    """The folder before the first mark of a pattern."""
    return bare[: _first_mark(bare)].rpartition("/")[0] or "/" if _first_mark(bare) else bare


def _split_pattern(bare: str, options: str) -> tuple[str, str]:
    """The folder to list, and the pattern that its files must match; empty for none.

    A file that exists is part of the folder, even if its name looks like a pattern.
    """
    start = 0
    while (mark := _first_mark(bare, start)) is not None:
        start = end if (end := bare.find("/", mark)) >= 0 else len(bare)
        if not _is_there(bare[:start] + options):
            root = bare[:mark].rpartition("/")[0] or "/"
            return root, glob.escape(root) + bare[len(root) :]
    return bare, ""


def _is_there(uri: str) -> bool:
    """Whether something has this very name, if only a link that leads nowhere."""
    here = storage.is_local(uri) and os.path.lexists(storage.local_path(uri))
    return here or storage.exists(uri)


def _input(row: dict[str, Any]) -> dict[str, Any]:
    unlisted = row.get("unlisted")
    return {**row, "problem": problem("unreadable", unlisted)} if unlisted else row


def _tables(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    waiting = iter(rows)
    while page := list(islice(waiting, PAGE_ROWS)):
        yield pa.Table.from_pylist(page, schema=SCHEMA)
