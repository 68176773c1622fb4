"""``names``: the label is part of each picture's name, as a pattern says; only when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipelines.sources.files import whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.walk import paths_below
from pipelines.stores import is_picture_name


def check_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern.

    Raises:
        ValueError: when it is no regular expression, or has no group ``text``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"--label-pattern {pattern!r} isn't a regular expression: {error}"
        ) from error
    if "text" not in compiled.groupindex:
        raise ValueError(
            f"--label-pattern {pattern!r} has no group named text; expected one, such as "
            r"'(?P<text>[^_/]+)_\d+\.png$'"
        )
    return compiled


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if not options.label_pattern:
        raise Lacks("a --label-pattern, which says where in the file's name the label is")
    if folder.is_file:
        raise Lacks("a folder of pictures")
    return ()


def _items(source: Opened) -> Iterator[Item]:
    pattern = check_pattern(source.options.label_pattern)
    for path, unlisted in _pictures_in(source.uri):
        if unlisted:
            yield unusable(path, "unreadable", unlisted)
            continue
        match = pattern.search(path)
        if match is None or match["text"] is None:
            message = f"the name doesn't match {pattern.pattern!r}"
            yield unusable(path, "no_label", message, Place(path))
        else:
            group = match.groupdict().get("group") or ""
            yield Item(path, match["text"], group, Place(path))


def picture_paths(uri: str) -> Iterator[str]:
    """Paths below ``uri`` of all files that have a picture's name, and of unreadable folders."""
    return (path for path, _ in _pictures_in(uri))


def _pictures_in(uri: str) -> Iterator[tuple[str, str]]:
    """Those paths, and why one can't be looked into; empty for files."""
    found = paths_below(uri)
    return ((path, why) for path, why in found if why or is_picture_name(path))


NAMES = Format(find=_find, items=_items, reader=whole_files)
