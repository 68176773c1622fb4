"""Folders that untrusted addresses must stay in, against any attempt to escape.

Compared part by part, never as text: ``s3://b/crops-private`` doesn't lie in ``s3://b/crops``.
``lies_in`` judges an address that somebody wrote, which must be plainly one place; ``inside`` an
address that is about to be read, as a store or a list gave it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from crnn.files import storage

MOST_CHARACTERS = 2048
WILD = "*?["
_STORES = ("s3", "gs")
_DOTS = (".", "..")


class AddressParts(NamedTuple):
    """An address taken apart; ``store`` is empty for a path of this machine."""

    store: str
    parts: tuple[str, ...]


def place(uri: str) -> AddressParts:
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
        if store not in _STORES:
            raise ValueError("expected an absolute path, s3:// or gs://")
        if storage.split_options(uri)[1]:
            raise ValueError("it has options behind a '?'; endpoints are the operator's to choose")
    else:
        store, path = "", uri.removeprefix("/")
        if path == uri:
            raise ValueError("expected an absolute path, s3:// or gs://")
    parts = tuple(path.removesuffix("/").split("/"))
    if any(part in ("", *_DOTS) for part in parts):
        raise ValueError("it has an empty part, '.' or '..'")
    return AddressParts(store, parts)


def check_prefix(prefix: str, flag: str) -> None:
    """Raise ValueError unless ``prefix`` is a folder that may stand behind ``flag``."""
    try:
        found = place(prefix)
    except ValueError as error:
        raise ValueError(f"{flag} has {prefix!r}: {error}") from None
    if any(mark in part for part in found.parts for mark in WILD):
        raise ValueError(f"{flag} has {prefix!r}; expected a folder, not a pattern")


def lies_in(uri: str, folders: Sequence[str]) -> bool:
    """Whether an address (or a pattern) is one of these folders or lies in one.

    Of a path of this machine, links are followed.

    Raises:
        ValueError: as ``place``.
    """
    found = place(uri)
    return any(_within(found, place(folder)) for folder in folders)


def inside(uri: str, folders: tuple[str, ...]) -> str | None:
    """The address to read in place of ``uri``; None where it lies in none of the folders.

    Links are followed here, so that what is read is what was judged. Without folders everything
    is allowed. The folders are such as ``check_prefix`` lets pass.
    """
    if not folders:
        return uri
    if not storage.is_local(uri):
        return uri if _stored_inside(uri, _stored(folders)) else None
    try:
        path = Path(storage.local_path(uri)).resolve()
    except (OSError, RuntimeError, ValueError):  # a link to itself, another's home, a null byte
        return None
    return str(path) if any(path.is_relative_to(root) for root in _roots(folders)) else None


def leads_out(uri: str, folders: tuple[str, ...]) -> bool:
    """Whether a folder of this machine that lies in one of ``folders`` as it is written lies
    elsewhere when links are followed: what is written there would be written elsewhere."""
    if not storage.is_local(uri):
        return False
    path = Path(storage.absolute(uri))
    written = [Path(folder) for folder in folders if storage.is_local(folder)]
    return any(path.is_relative_to(root) for root in written) and inside(uri, folders) is None


@lru_cache(maxsize=8)
def _roots(folders: tuple[str, ...]) -> list[Path]:
    """Those of this machine, links followed."""
    return [Path(folder).resolve() for folder in folders if storage.is_local(folder)]


@lru_cache(maxsize=8)
def _stored(folders: tuple[str, ...]) -> list[AddressParts]:
    """Those of object stores."""
    return [place(folder) for folder in folders if not storage.is_local(folder)]


def _stored_inside(uri: str, folders: Sequence[AddressParts]) -> bool:
    """Keys are taken literally, except for dots: a proxy in front of a store may resolve those."""
    store, _, path = uri.partition("://")
    if storage.split_options(uri)[1] or store not in _STORES or _climbs(path):
        return False
    parts = tuple(path.split("/"))
    return any(store == p.store and parts[: len(p.parts)] == p.parts for p in folders)


def _climbs(path: str) -> bool:
    """Whether there is a '.' or '..' in it, however often it was encoded."""
    while path != (plain := unquote(path)):
        path = plain
    return any(part in _DOTS for part in re.split(r"[/\\]", path))


def _within(found: AddressParts, folder: AddressParts) -> bool:
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
