"""What a format of labelled pictures is: how it is told from others, listed and read."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from crnn.errors import DataError, PictureError
from crnn.files import storage
from pipelines.sources.item import Item, Place
from pipelines.stores import is_picture_name, names_in

LOOKED_AT_NAMES = 10_000
"""Names read from one folder to detect formats; pictures, which on an object store take
requests, don't count. A list is found by its own name however many there are."""


class Lacks(Exception):  # noqa: N818  (an answer, not an error)
    """What a source lacks for being of a format."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What a source doesn't say itself."""

    label_pattern: str = ""
    """For labels in file names: a regular expression to search in each picture's path, with a
    group (?P<text>…) and optionally (?P<group>…)."""
    image_column: str = ""
    """Column of the pictures or their paths (.csv, .jsonl, .parquet); default: a common name."""
    text_column: str = ""
    """Column of the labels; default: a common name, such as text or label."""
    id_column: str = ""
    """Column of unique ids (.parquet); default: file and row."""
    group_column: str = ""
    """Column of the group of a sample (.csv, .jsonl, .parquet); see --group-pattern."""
    min_confidence: float = 0.0
    """For results of a bulk job: readings of lower confidence (0 to 1) become rejects
    (low_confidence)."""
    min_character_confidence: float = 0.0
    """The same with the confidence per character, confidence ** (1 / characters): for a recognizer
    whose confidence falls with the length of a text, such as one that was never calibrated."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source of a known format; small enough to travel with every task."""

    uri: str
    format: str
    names: tuple[str, ...]
    """The list files, or what takes their place, below ``uri``; empty: ``uri`` is the file."""
    options: SourceOptions

    def address(self, file: str) -> str:
        """Address of a file below the source; of the source itself for an empty path."""
        return storage.join(self.uri, file) if file else self.uri


Encoded = bytes | PictureError
Reader = Callable[[Sequence[Place]], Iterator[Encoded]]
"""Encoded pictures in the order of their places; of an object store some ahead. A place that
can't be read gives the error."""


class Format(NamedTuple):
    """One way in which labelled pictures come."""

    find: Callable[[Folder, SourceOptions, Sequence[str]], Sequence[str]]
    """List files of the source, of those asked for if any; raises Lacks."""
    items: Callable[[Opened], Iterator[Item]]
    reader: Callable[[Opened], AbstractContextManager[Reader]]
    in_order: bool = False
    """Whether pictures are cheap to read only one after another, as they lie."""
    of_files: bool = False
    """Whether its names are files that are read one after another: where one of several can't be,
    the others are."""
    names_pictures: bool = False
    """Whether lists name picture files one by one, so that some of these may be left out."""


class Folder:
    """A source that is looked at: its first names, and whether a name is there."""

    def __init__(self, uri: str) -> None:
        """Look at ``uri``.

        Raises:
            DataError: when there is nothing.
        """
        self.uri = uri
        self.is_file = storage.is_file(uri)
        self.names: list[str] = []
        """Names of files, up to a limit, that aren't pictures' names."""
        self.folders: list[str] = []
        self._whole = True
        """Whether ``names`` has the names of all files but pictures."""
        if not self.is_file:
            self._look()

    def has(self, name: str) -> bool:
        """Whether this file is there, among however many others."""
        if name in self.names:
            return True
        found = not self._whole or "/" in name or is_picture_name(name)
        return found and storage.exists(storage.join(self.uri, name))

    def first_match(self, patterns: Sequence[str]) -> list[str]:
        """Names that fit the first pattern that any fits."""
        for pattern in patterns:
            if not any(mark in pattern for mark in "*?["):
                match = [pattern] if self.has(pattern) else []
            else:
                match = [name for name in self.names if fnmatch.fnmatchcase(name, pattern)]
            if match:
                return match
        return []

    def selected(self, wanted: Sequence[str], patterns: Sequence[str]) -> list[str]:
        """``wanted``, which must be there, or else what fits ``patterns``; Lacks otherwise."""
        missing = [name for name in wanted if not self.has(name)]
        if missing:
            raise DataError(
                f"{self.uri} has no {', '.join(missing)}; it has {', '.join(self.names[:20])}"
            )
        names = list(wanted) or self.first_match(patterns)
        if not names:
            raise Lacks(f"any of {', '.join(patterns)}")
        return names

    def _look(self) -> None:
        seen = 0
        for name, is_folder in _names(self.uri):
            seen += 1
            if is_folder:
                self.folders.append(name)
            elif not is_picture_name(name):
                self.names.append(name)
            is_long = seen if not storage.is_local(self.uri) else len(self.names)
            if is_long >= LOOKED_AT_NAMES:
                self._whole = False
                break
        if not seen:
            raise DataError(f"{self.uri} is empty; expected labelled pictures")


def _names(uri: str) -> Iterator[tuple[str, bool]]:
    try:
        yield from names_in(uri)
    except FileNotFoundError:
        raise DataError(f"there is no folder {uri}; expected labelled pictures") from None
