"""One labelled picture, or why a line gives none: what every format's reader yields."""

from __future__ import annotations

from typing import NamedTuple

from crnn.region import Region


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
    inside = path.removeprefix("./")
    if not inside or inside.startswith("/") or "://" in inside or ".." in inside.split("/"):
        return unusable(where, "bad_line", f"{path[:80]!r} is not a path below the source")
    return Item(inside, text, group, Place(inside))


def unusable(id: str, reason: str, message: str, picture: Place | None = None) -> Item:
    """A line that gives no sample."""
    return Item(id, picture=picture, reason=reason, message=message)
