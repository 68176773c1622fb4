"""The folders of a source, as far as it takes to tell what it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from crnn import storage
from pipelines.stores import names_in

_MOST_FOLDERS, _MOST_DEPTH = 64, 4
_KEPT = (".txt", ".xml")
"""However many pictures stand before them."""


def folders_below(uri: str) -> Iterator[tuple[str, list[str]]]:
    """The source and folders below it, each with the first of its names."""
    pending = deque([("", 0)])
    for _ in range(_MOST_FOLDERS):
        if not pending:
            return
        path, depth = pending.popleft()
        names: list[str] = []
        for name, is_folder in names_in(storage.join(uri, path)):
            if is_folder and depth < _MOST_DEPTH:
                pending.append((f"{path}/{name}".lstrip("/"), depth + 1))
            elif not is_folder and (len(names) < 1000 or name.endswith(_KEPT)):
                names.append(name)
            if len(names) > 2000 and not storage.is_local(uri):
                break
        yield path, names
