"""What there is to read: inputs in pages, while the store is listed.

Nothing holds a whole listing: a bucket of any size goes by page by page.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from crnn import storage
from crnn.errors import DataError
from pipelines.manifest import MANIFEST_NAME
from pipelines.prefixes import inside
from pipelines.recognition.inputs import PAGE_ROWS, SCHEMA, pages
from pipelines.recognition.lists import LIST_SUFFIXES, listed, samples_of
from pipelines.stores import files_at, is_picture_name

_WILD = "*?["


def list_inputs(
    uri: str, *, all_files: bool = False, without: str = "", prefixes: tuple[str, ...] = ()
) -> Iterator[pa.Table]:
    """Pages of ``inputs.SCHEMA`` with every picture that ``uri`` stands for.

    Args:
        uri: a folder or prefix (read with all folders below it), one picture, a pattern
            (``*`` also crosses folders), a list of addresses as ``lists.listed`` takes it, or a
            prepared set.
        all_files: take files whose names don't look like pictures too.
        without: a folder to leave out: where the results go.
        prefixes: folders that what is listed must lie in, a prepared set's shards included. The
            files that a list names, and those that links lead to, are judged when they are read.

    Raises:
        DataError: when there is nothing at ``uri``, it can't be listed, or it lies elsewhere.
    """
    bare, options = storage.split_options(uri)
    root, pattern = _split_pattern(storage.absolute(bare) if storage.is_local(uri) else bare)
    if inside(root + options, prefixes) is None:
        raise DataError(f"{uri} lies outside the folders that may be read: {', '.join(prefixes)}")
    if bare.lower().endswith(LIST_SUFFIXES):
        return pages(listed(uri))
    if not _is_pattern(bare) and storage.exists(storage.join(uri, MANIFEST_NAME)):
        return samples_of(storage.absolute(uri), prefixes)
    left_out = _below(without) if without else ""

    def wanted(row: dict[str, Any]) -> bool:
        name = storage.split_options(row["uri"])[0]
        return (
            (not pattern or fnmatch.fnmatchcase(name, pattern))
            and (all_files or is_picture_name(name))
            and not (left_out and name.startswith(left_out))
        )

    return pages(_tables(row for row in files_at(root + options) if wanted(row)))


def _below(uri: str) -> str:
    """What the addresses of all files in a folder begin with."""
    return storage.split_options(storage.absolute(uri))[0].rstrip("/") + "/"


def _is_pattern(bare: str) -> bool:
    return any(mark in bare for mark in _WILD)


def _split_pattern(bare: str) -> tuple[str, str]:
    """The folder to list, and the pattern that its files must match; empty for none."""
    if not _is_pattern(bare):
        return bare, ""
    head = bare[: min(bare.find(mark) for mark in _WILD if mark in bare)]
    return head.rpartition("/")[0] or "/", bare


def _tables(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    waiting = iter(rows)
    while page := list(islice(waiting, PAGE_ROWS)):
        yield pa.Table.from_pylist(page, schema=SCHEMA)
