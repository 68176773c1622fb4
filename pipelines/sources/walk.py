"""What lies below a source: all files, or its folders as far as it takes to tell what it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources.item import Item, unusable
from pipelines.stores import files_at, names_in

_MOST_FOLDERS, _MOST_DEPTH = 64, 4
_KEPT = (".txt", ".xml")
"""However many pictures stand before them."""


def paths_below(uri: str) -> Iterator[tuple[str, str]]:
    """Paths below ``uri`` of all files, and of what can't be looked into with the reason why; that
    is empty for files.

    Raises:
        DataError: when there is nothing, or it can't be listed itself.
    """
    root = len(_place(uri).rstrip("/")) + 1
    for row in files_at(uri):
        yield _place(row["uri"])[root:], row.get("unlisted", "")


def _place(uri: str) -> str:
    return storage.local_path(uri) if storage.is_local(uri) else storage.split_options(uri)[0]


def folders_below(uri: str) -> Iterator[tuple[str, list[str]]]:
    """The source and folders below it, each with the first of its names; without those that can't
    be looked into, which ``closed_below`` has.

    Raises:
        DataError: when the source itself can't be.
    """
    for path, found in _folders(uri):
        if not isinstance(found, DataError):
            yield path, found
        elif not path:
            raise found


def closed_below(uri: str) -> Iterator[Item]:
    """A reject for each of the same folders that can't be looked into."""
    for path, found in _folders(uri):
        if isinstance(found, DataError):
            yield unusable(path, "unreadable", str(found))


def _folders(uri: str) -> Iterator[tuple[str, list[str] | DataError]]:
    """Folders with the first of their names, or why these can't be had."""
    pending = deque([("", 0)])
    for _ in range(_MOST_FOLDERS):
        if not pending:
            return
        path, depth = pending.popleft()
        names: list[str] = []
        try:
            for name, is_folder in names_in(storage.join(uri, path)):
                if is_folder and depth < _MOST_DEPTH:
                    pending.append((f"{path}/{name}".lstrip("/"), depth + 1))
                elif not is_folder and (len(names) < 1000 or name.endswith(_KEPT)):
                    names.append(name)
                if len(names) > 2000 and not storage.is_local(uri):
                    break
        except DataError as error:
            if not storage.is_local(uri):
                raise
            yield path, error
        else:
            yield path, names
