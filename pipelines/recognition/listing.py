"""What there is to read: inputs in pages, while the store is listed.

Nothing holds a whole listing: a bucket of any size goes by page by page.
"""

from __future__ import annotations

import fnmatch
import glob
import os.path
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
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

_LIST, _SET = "a list", "a prepared set"


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
    folder = _folder(uri, all_files, documents, without, prefixes)
    kind = _kind(folder)
    if kind == _LIST:
        return pages(listed(folder.uri, ignore_columns, prefixes))
    if kind == _SET:
        return samples_of(folder.uri, prefixes)
    return pages(_tables(_input(row) for row in files_at(folder.uri) if folder.has(row)))


def bucket_folder(
    uri: str,
    *,
    all_files: bool = False,
    documents: bool = False,
    without: str = "",
    prefixes: tuple[str, ...] = (),
) -> InputFolder:
    """The prefix or pattern of S3 that ``uri`` stands for; the arguments are ``list_inputs``'s.

    Raises:
        DataError: when it is anything else, or lies elsewhere.
    """
    if not uri.startswith("s3://"):
        raise DataError(f"{uri} isn't in S3, whose events are to be read; expected s3://bucket/…")
    folder = _folder(uri, all_files, documents, without, prefixes)
    kind = _kind(folder)
    if kind or (is_picture_name(folder.name, documents=documents) and storage.is_file(folder.uri)):
        raise DataError(
            f"{uri} is {kind or 'one picture'}; events tell of pictures that come below a prefix: "
            "give the prefix, or leave the events out"
        )
    return folder


@dataclass(frozen=True, kw_only=True)
class InputFolder:
    """A folder or prefix, and which of its files are inputs."""

    uri: str
    pattern: str
    """What their names must match; empty for anything."""
    left_out: str
    """What the names of those begin with that aren't inputs; empty for none."""
    all_files: bool
    documents: bool

    @property
    def name(self) -> str:
        """The address as names are compared: without options."""
        return _name(self.uri)

    def has(self, row: dict[str, Any]) -> bool:
        """Whether a file of this folder, as ``files_at`` gives it, is an input."""
        name = _name(row["uri"])
        if self.left_out and name.startswith(self.left_out):
            return False
        return "unlisted" in row or (
            (not self.pattern or fnmatch.fnmatchcase(name, self.pattern))
            and (self.all_files or is_picture_name(name, documents=self.documents))
        )


def _folder(
    uri: str, all_files: bool, documents: bool, without: str, prefixes: tuple[str, ...]
) -> InputFolder:
    bare, options = storage.split_options(uri)
    bare = storage.absolute(bare) if storage.is_local(uri) else bare
    _check_inside(uri, _before_pattern(bare) + options, prefixes)
    root, pattern = _split_pattern(bare, options)
    _check_inside(uri, root + options, prefixes)
    return InputFolder(
        uri=root + options,
        pattern=pattern,
        left_out=below(without) if without else "",
        all_files=all_files,
        documents=documents,
    )


def _kind(folder: InputFolder) -> str:
    """What it is in place of a folder: a list or a prepared set; empty for neither."""
    uri, name = folder.uri, storage.split_options(folder.uri)[0]
    if folder.pattern:
        return ""
    if name.lower().endswith(LIST_SUFFIXES) and not is_folder(uri):
        return _LIST
    if storage.exists(storage.join(uri, MANIFEST_NAME)):
        return _SET
    if not folder.all_files and not is_picture_name(folder.name, documents=folder.documents):
        _refuse_file(uri)
    return ""


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


def below(uri: str) -> str:
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
