"""The pages of a TIFF by its directories, each of which says where the next one lies (TIFF 6.0,
section 2; BigTIFF). Found in one pass: a decoder that is asked for page after page starts from the
beginning each time, which takes quadratic time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ORDERS = {b"II": "<", b"MM": ">"}


@dataclass(frozen=True)
class _Layout:
    """How a file writes its numbers."""

    order: str
    first_at: int
    """Where the header has the place of the first directory."""
    place: str
    """A place in the file, for ``struct``."""
    count: str
    """The number of a directory's entries."""
    entry_bytes: int


def is_tiff(data: bytes) -> bool:
    """Whether a file's bytes begin as a TIFF's or a BigTIFF's do."""
    return _layout(data) is not None


def directories(data: bytes, most: int) -> list[int]:
    """Where the directory of each page lies, at most ``most``; none twice, even if they loop.

    The last one may lie beyond the file's end, in one that is cut short.
    """
    found: dict[int, None] = {}
    for place in _places(data):
        if place in found or len(found) == most:
            break
        found[place] = None
    return list(found)


def beginning_at(data: bytes, directory: int) -> bytes:
    """The same file with this page as its first one."""
    layout = _layout(data)
    assert layout is not None, "a directory was found in it"
    place = struct.pack(layout.order + layout.place, directory)
    return data[: layout.first_at] + place + data[layout.first_at + len(place) :]


def _places(data: bytes) -> Iterator[int]:
    layout = _layout(data)
    place_at: int | None = None if layout is None else layout.first_at
    while layout is not None and place_at is not None:
        place = _number(data, place_at, layout.order + layout.place)
        if not place:
            return
        yield place
        count = _number(data, place, layout.order + layout.count)
        if count is None:
            return
        entries_at = place + struct.calcsize(layout.order + layout.count)
        place_at = entries_at + count * layout.entry_bytes


def _layout(data: bytes) -> _Layout | None:
    order = _ORDERS.get(data[:2])
    if order is None or len(data) < 8:
        return None
    version = struct.unpack_from(order + "H", data, 2)[0]
    if version == 42:
        return _Layout(order, 4, "I", "H", 12)
    return _Layout(order, 8, "Q", "Q", 20) if version == 43 else None


def _number(data: bytes, place: int, form: str) -> int | None:
    """None beyond the end."""
    if place + struct.calcsize(form) > len(data):
        return None
    return int(struct.unpack_from(form, data, place)[0])
