"""Folders that a job may empty: only what a job of ours wrote is ever deleted there.

What is ours is told by its path below the folder, never by where it lies alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from crnn.errors import DataError
from crnn.files import storage


def refuse_foreign(uri: str, ours: re.Pattern[str], what: str) -> None:
    """DataError where below ``uri`` is a file that ``what`` has not written; naming it."""
    first = next((path for path in _paths(uri) if not ours.fullmatch(path)), None)
    if first is not None:
        raise DataError(
            f"{uri} holds {first!r}, which {what} didn't write and won't delete; move it away, "
            "or choose another name or folder"
        )


def begin_page(uri: str, page: str, figures: str) -> None:
    """Make an earlier page in this folder unfinished: delete its file of ``figures``, written last.

    Raises:
        DataError: when that file lies there without the ``page``, so isn't ours.
    """
    address = storage.join(uri, figures)
    if not storage.exists(address):
        return
    if not storage.exists(storage.join(uri, page)):
        raise DataError(
            f"{uri} holds {figures!r} without {page!r} beside it, so it isn't the report of a job, "
            "which would replace it; move it away, or choose another folder"
        )
    storage.delete(address)


def delete_ours(
    uri: str, ours: re.Pattern[str], *, first: Sequence[str] = (), last: Sequence[str] = ()
) -> None:
    """Delete the files below ``uri`` that are ours, those named ``first`` and ``last`` in turn.

    Folders below that are empty then go too. Other files, and what links lead to, stay.

    Raises:
        DataError: when one can't be deleted.
    """
    order = {path: place - len(first) for place, path in enumerate(first)}
    order |= {path: place + 1 for place, path in enumerate(last)}
    found = [path for path in _paths(uri) if ours.fullmatch(path)]
    for path in sorted(found, key=lambda path: order.get(path, 0)):
        with suppress(FileNotFoundError):  # Google's store: a folder is gone once it is empty
            storage.delete(storage.join(uri, path))
    if storage.is_local(uri):
        _delete_empty_folders(Path(storage.local_path(uri)))


def _paths(uri: str) -> Iterator[str]:
    """Paths of all files below a folder, if it is there; a link counts as a file of its own."""
    if storage.is_local(uri):
        root = storage.local_path(uri)
        for folder, folders, names in os.walk(root, onerror=_raise):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in (*links, *names):
                yield os.path.relpath(f"{folder}/{name}", root)
        return
    start = len(storage.resolve(uri)[1].rstrip("/")) + 1
    if storage.exists(uri):
        for info in storage.list_files(uri, recursive=True):
            yield storage.resolve(info.uri)[1][start:]


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DataError(f"can't look into {error.filename}: {error.strerror}") from error


def _delete_empty_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root:
            with suppress(OSError):  # something is in it
                Path(folder).rmdir()
