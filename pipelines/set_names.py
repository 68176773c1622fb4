"""How sets are told apart by name."""

from __future__ import annotations

from collections.abc import Sequence

from crnn.files import storage


def set_names(uris: Sequence[str]) -> dict[str, str]:
    """Sets by name: the shortest ends of their addresses that tell them apart.

    Raises:
        ValueError: when an address is given twice.
    """
    paths = [storage.resolve(uri)[1].strip("/").split("/") for uri in uris]
    for uri, path in zip(uris, paths, strict=True):
        if paths.count(path) > 1:
            raise ValueError(f"the set {uri} is named more than once; give each set once")
    depth = 1
    while len({tuple(path[-depth:]) for path in paths}) < len(paths):
        depth += 1
    return {"/".join(path[-depth:]): uri for path, uri in zip(paths, uris, strict=True)}
