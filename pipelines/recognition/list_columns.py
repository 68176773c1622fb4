"""What the columns of a list of pictures mean: its header, in the names that people use.

Every column has a meaning, or is named in an error: an unused one is often a box under
another name, and then whole pages would be read as one word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from crnn.brief import brief
from crnn.errors import DataError
from pipelines.recognition.rows import RESULT_SCHEMA
from pipelines.sources.columns import PATH_COLUMNS

URI = ("uri", "url", *PATH_COLUMNS, "image_uri")
"""Names of the column of addresses; the first that is there."""
ETAG = ("etag", "version")
_EDGES = (
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("xtl", "ytl", "xbr", "ybr"),
)
_EXTENT = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"),
)
_CORNERS = tuple(
    tuple(f"{axis}{number}" for number in range(first, first + 4) for axis in "xy")
    for first in (0, 1)
)
_WHOLE = {
    "polygon": ("polygon", "poly", "points", "quad", "corners", "region"),
    "edges": ("box", "xyxy"),
    "extent": ("xywh",),
}
_AMBIGUOUS = ("bbox", "bounding_box")
_PASSED_OVER = frozenset({"size", *RESULT_SCHEMA.names})
"""Columns of our own listings and results, which may be lists too."""
_ANY = "*"

Shape = Literal["", "polygon", "edges", "extent"]


@dataclass(frozen=True, kw_only=True)
class ColumnPlaces:
    """Where in a row things are."""

    uri: int
    etag: int | None
    shape: Shape
    """What the numbers of a region are: a polygon's corners, left, top, right and bottom edge, or
    left, top, width and height; empty: there are no regions."""
    region: tuple[int, ...]
    """Columns of the numbers: one for each, or one that holds all of them."""


def columns_of(list_uri: str, header: Sequence[str], ignored: Collection[str] = ()) -> ColumnPlaces:
    """What the columns of this header are; names are trimmed, and their case doesn't count.

    Raises:
        DataError: when there is no column of addresses, a name stands there twice, or a column
            has no meaning and isn't among ``ignored`` (``*``: all others).
    """
    names = [cleaned(name) for name in header]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"{list_uri} has two columns {twice[0]!r} among {brief(names)}; rename one")
    uri = next((name for name in URI if name in names), None)
    if uri is None:
        raise DataError(
            f"{list_uri} has columns {brief(names)}; expected one 'uri' (or "
            f"{', '.join(URI[1:6])} …) with the pictures' addresses"
        )
    etag = next((name for name in ETAG if name in names), None)
    free = [name for name in names if name not in (uri, etag)]
    shape, region = _region(free, {cleaned(name) for name in ignored})
    _refuse_unused(list_uri, (name for name in free if name not in region), ignored)
    return ColumnPlaces(
        uri=names.index(uri),
        etag=None if etag is None else names.index(etag),
        shape=shape,
        region=tuple(names.index(name) for name in region),
    )


def cleaned(name: str) -> str:
    """A column's name as it is compared."""
    return name.strip().casefold()


def _region(names: Sequence[str], ignored: Collection[str]) -> tuple[Shape, tuple[str, ...]]:
    """The shape of the regions, and its columns."""
    there = [name for name in names if name not in ignored]
    of_one: list[tuple[Shape, tuple[str, ...]]] = [
        (shape, (name,))  # type: ignore[misc]  # the keys are shapes
        for shape, usual in _WHOLE.items()
        for name in usual
    ]
    spread: list[tuple[Shape, tuple[str, ...]]] = [
        *(("polygon", group) for group in _CORNERS),
        *(("edges", group) for group in _EDGES),
        *(("extent", group) for group in _EXTENT),
    ]
    for shape, group in (*of_one, *spread):
        if all(name in there for name in group):
            return shape, group
    return "", ()


def _refuse_unused(list_uri: str, names: Iterable[str], ignored: Collection[str]) -> None:
    dropped = {cleaned(name) for name in ignored}
    unused = [name for name in names if name and name not in _PASSED_OVER and name not in dropped]
    if not unused or _ANY in dropped:
        return
    ambiguous = next((name for name in unused if name in _AMBIGUOUS), None)
    if ambiguous:
        raise DataError(
            f"{list_uri} has a column {ambiguous!r}, which may hold corners or a width and a "
            "height; call it xyxy (left, top, right, bottom) or xywh"
        )
    raise DataError(
        f"{list_uri} has unknown columns: {', '.join(map(repr, unused))}. Regions to cut out of "
        "pictures are columns x0 y0 x1 y1 (or xmin ymin xmax ymax, left top "
        "right bottom, x y width height), box or polygon; rename these columns, or name them "
        "with --ignore-columns"
    )
