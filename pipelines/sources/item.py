"""One labelled picture, or why a line gives none: what every format's reader yields."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from crnn.images.region import Region
from pipelines.stores import is_picture_name
from pipelines.textrules import is_unicode

_UNPRINTED = re.compile(r"[\x00-\x1f\x7f]")
_BOXES = re.compile(r'"transcription"\s*:.*"points"\s*:|"points"\s*:.*"transcription"\s*:')
_SAME_FOLDER = re.compile(r"(?<=[^:]/)(?:\.?/)+")
"""Parts of a path that change nothing, as in ``a//b`` and ``a/./b``; to a store they are another
key."""
_DRIVE = re.compile(r"[A-Za-z]:/")
_OF_LABEL_STUDIO = ("/data/local-files/", "/data/upload/")


class Place(NamedTuple):
    """Where the encoded bytes of a picture are."""

    file: str
    """Path below the source; empty for the source itself."""
    at: str = ""
    """Where in that file, as its format says: a key, ``group:row``, ``offset:size``; empty: all."""


class Item(NamedTuple):
    """One labelled picture; with a ``reason``, a line that gives none."""

    id: str
    """Path of the picture below the source, with what tells it from others in the same file; of
    a line that names no picture ``<list>:<line>``."""
    text: str = ""
    """As found; neither trimmed nor normalised."""
    group: str = ""
    """What it belongs to, where the source says so: samples of one group stay in one split."""
    picture: Place | None = None
    region: Region | None = None
    """What is to be cut out of the picture; None for the whole."""
    reason: str = ""
    """Why it is no sample, else empty."""
    message: str = ""
    source: str = ""
    """The set that it came from in the first place, where the source says so."""


def pictured(where: str, path: str, text: str, group: str = "") -> Item:
    """The item of a list's line: a picture at ``path``, unless that leaves the source."""
    inside = (_SAME_FOLDER.sub("", path) if "/" in path else path).removeprefix("./")
    leaves = inside.startswith("/") or "://" in inside or ".." in inside.split("/")
    if not inside or leaves or _DRIVE.match(inside) or _UNPRINTED.search(inside):
        hint = "; export from Label Studio as JSON" if path.startswith(_OF_LABEL_STUDIO) else ""
        message = f"{path[:80]!r} is not a path below the source{hint}"
        return unusable(where, "bad_line", message)
    if "." in text and is_picture_name(text) and not is_picture_name(inside):
        message = f"the label is {text[:80]!r}, the path {path[:80]!r}: the other way round?"
        return unusable(where, "bad_line", message)
    if text.startswith("[") and _BOXES.search(text):
        message = (
            f"the label is PaddleOCR's list of boxes on a page, {text[:40]!r}, not a text; give "
            "its rec_gt.txt with the words cut out, or a gt_*.txt of boxes for each picture"
        )
        return unusable(where, "bad_line", message)
    if text.startswith(("[", "{")) and _is_nested(text):
        message = f"the label is data in JSON, {text[:40]!r}, not a text; give the text alone"
        return unusable(where, "bad_line", message)
    return Item(inside, text, group, Place(inside))


def _is_nested(text: str) -> bool:
    """Whether it is a list or an object in JSON that holds others: ``[1]`` may stand in a picture,
    ``[["TOTAL", 0.98]]`` is what a recognizer has written."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    held = found.values() if isinstance(found, dict) else found
    return any(isinstance(one, (list, dict)) for one in held)


class ListedPaths:
    """Paths as one list has them: written on Windows, with back-slashes, or for here.

    The first one with a back-slash decides for the list: where a file has that very name, the
    back-slashes are part of names.
    """

    def __init__(self, exists: Callable[[str], bool]) -> None:
        """``exists`` tells whether there is a file of that path below the source."""
        self._exists = exists
        self._are_windows: bool | None = None

    def pictured(self, where: str, path: str, text: str, group: str = "") -> Item:
        """As the function of this name."""
        return pictured(where, self._here(path) if "\\" in path else path, text, group)

    def _here(self, path: str) -> str:
        if self._are_windows is None:
            literal = pictured("", path, "")
            self._are_windows = not (literal.picture and self._exists(literal.id))
        return path.replace("\\", "/") if self._are_windows else path


def unusable(id: str, reason: str, message: str, picture: Place | None = None) -> Item:
    """A line that gives no sample."""
    return Item(id, picture=picture, reason=reason, message=message)


def without_label(item: Item) -> Item:
    """A picture whose label is null; one that is a reject already stays what it is."""
    return item if item.reason else unusable(item.id, "no_label", "its text is null", item.picture)


def with_unicode_name(item: Item) -> Item:
    """The item, or a reject where its name isn't UTF-8: nothing can be stored under it."""
    if is_unicode(item.id):
        return item
    name = item.id.encode("utf-8", "backslashreplace").decode()
    return unusable(name, "bad_name", "its name is not UTF-8; rename the file")
