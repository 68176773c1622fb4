"""Which addresses a request may name: those that lie in an allowed folder, whatever is tried.

Compared part by part, never as text: ``s3://b/crops-private`` doesn't lie in ``s3://b/crops``.
What could mean something else to a store or to the job is refused altogether: ``..``, empty parts,
options behind a ``?`` that would lead to another endpoint, links that lead out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crnn import storage

MOST_CHARACTERS = 2048
WILD = "*?["
LIST_SUFFIXES, SET_MARK = (".parquet", ".csv"), "manifest.json"
"""How ``pipelines.recognition``, which a replica doesn't load, tells lists and prepared sets."""


class Place(NamedTuple):
    """An address taken apart; ``store`` is empty for a path of this machine."""

    store: str
    parts: tuple[str, ...]


def place(uri: str) -> Place:
    """An address as its store and its parts, from the bucket or the root on.

    Raises:
        ValueError: for anything that isn't plainly one place.
    """
    if not uri or len(uri) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(uri)} characters; expected 1 to {MOST_CHARACTERS}")
    if not uri.isprintable() or "\\" in uri:
        raise ValueError("it has control characters or backslashes")
    if "://" in uri:
        store, _, path = uri.partition("://")
        if store not in ("s3", "gs"):
            raise ValueError("expected an absolute path, s3:// or gs://")
        if storage.split_options(uri)[1]:
            raise ValueError("it has options behind a '?'; endpoints are the service's to choose")
    else:
        store, path = "", uri.removeprefix("/")
        if path == uri:
            raise ValueError("expected an absolute path, s3:// or gs://")
    parts = tuple(path.removesuffix("/").split("/"))
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("it has an empty part, '.' or '..'")
    return Place(store, parts)


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless ``prefix`` may stand in ``--bulk.prefixes``."""
    try:
        found = place(prefix)
    except ValueError as error:
        raise ValueError(f"--bulk.prefixes has {prefix!r}: {error}") from None
    if any(mark in part for part in found.parts for mark in WILD):
        raise ValueError(f"--bulk.prefixes has {prefix!r}; expected a folder, no pattern")


def lies_in(uri: str, folders: Sequence[str]) -> bool:
    """Whether an address (or a pattern) is one of these folders or lies in one.

    Of a path of this machine, links are followed.

    Raises:
        ValueError: as ``place``.
    """
    found = place(uri)
    return any(_within(found, place(folder)) for folder in folders)


def check_allowed(name: str, uri: str, prefixes: Sequence[str], *, but_not: str) -> None:
    """Raise ValueError, naming the field, unless ``uri`` lies in a prefix, not in ``but_not``."""
    try:
        allowed = lies_in(uri, prefixes)
    except ValueError as error:
        raise ValueError(f"{name} is {uri[:200]!r}: {error}") from None
    if not allowed:
        raise ValueError(
            f"{name} is {uri[:200]!r}; expected an address in one of {', '.join(prefixes)}"
        )
    if lies_in(uri, [but_not]):
        raise ValueError(f"{name} is {uri[:200]!r}, where the records of the jobs are")


def check_plain(uri: str) -> None:
    """Raise ValueError for an input that names other files: a list, or a prepared set."""
    is_list = uri.lower().endswith(LIST_SUFFIXES)
    is_pattern = any(mark in uri for mark in WILD)
    if is_list or (not is_pattern and storage.exists(storage.join(uri, SET_MARK))):
        what = "a list" if is_list else "a prepared set"
        raise ValueError(
            f"input is {uri[:200]!r}, {what}, which may name any address; expected a folder, a "
            "prefix, a pattern or a picture: start jobs/recognize.py yourself for it"
        )


def _within(found: Place, folder: Place) -> bool:
    count = len(folder.parts)
    if found.store != folder.store or found.parts[:count] != folder.parts:
        return False
    return bool(found.store) or _leads_into(found.parts, folder.parts)


def _leads_into(parts: Sequence[str], folder: Sequence[str]) -> bool:
    """Whether what is before the first wildcard leads into the folder when links are followed."""
    wild = (i for i, part in enumerate(parts) if any(mark in part for mark in WILD))
    fixed = parts[: next(wild, len(parts))]
    root = Path("/", *folder).resolve()
    return Path("/", *fixed).resolve().is_relative_to(root)
