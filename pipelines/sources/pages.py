"""``pages``: scans of whole pages, each with an ALTO or PAGE XML file of its lines.

The picture of ``p/x.xml`` is the file named in it, beside it or in another folder below the source,
else the one of the same name (``x.jpg``). Each line is a sample, cut out of its page.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.contract import StatedSize, stated_size
from crnn.images.region import Region
from pipelines.read_ahead import ahead
from pipelines.sources.files import head_of, may_be_there, whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, Place, pictured, unusable
from pipelines.sources.page_xml import (
    MAX_XML_BYTES,
    PER_INCH,
    PIXEL,
    NotReadError,
    PageText,
    TextLine,
    looks_like_one,
    pages_in,
)
from pipelines.sources.polygons import corners_along
from pipelines.sources.ranged import open_ranged
from pipelines.sources.walk import closed_below, folders_below
from pipelines.stores import is_picture_name, names_in

_SUFFIX = ".xml"
_MARKS = (".alto", ".page")
"""What often stands before the suffix."""
_PICTURE_SUFFIXES = (".jpg", ".png", ".tif", ".jpeg", ".tiff", ".JPG", ".PNG", ".TIF", ".jp2")
_SAMPLE_FILES = 3
_HEAD_BYTES = 1 << 14
_HERE = "."
_ROUNDING_PX, _ROUNDING = 2, 0.02
"""By how much the size of a page may differ from that of its picture, and the scale across from
that down."""


class _Read(NamedTuple):
    """A file of XML that was read."""

    path: str
    pages: list[PageText]
    complaint: NotReadError | None = None
    picture: str = ""
    """Path of its picture; empty where there is none."""
    size: StatedSize | None = None
    """Of the picture; None where that can't be told, which decoding will tell why."""


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    """Folders with XML, then, after an empty name, folders with pictures."""
    if folder.is_file:
        raise Lacks("a folder with pictures and ALTO or PAGE files")
    texts, pictures = [], []
    for path, names in folders_below(folder.uri):
        if any(map(is_picture_name, names)):
            pictures.append(path or _HERE)
        files = [name for name in names if _is_xml(name)][:_SAMPLE_FILES]
        if any(_is_one(storage.join(folder.uri, path, name)) for name in files):
            texts.append(path or _HERE)
    if wanted:
        asked = {name.rstrip("/") for name in wanted}
        texts = [path for path in texts if path in asked]
    if not texts or not pictures:
        lacking = "ALTO or PAGE XML" if not texts else "pictures"
        raise Lacks(f"{lacking} (x.jpg with x.xml, in one or several folders)")
    return [*texts, "", *pictures]


def _is_xml(name: str) -> bool:
    return name.lower().endswith(_SUFFIX)


def _is_one(address: str) -> bool:
    return looks_like_one(head_of(address, _HEAD_BYTES))


def _items(source: Opened) -> Iterator[Item]:
    cut = source.names.index("")
    pictures = _Pictures(source, [_inside(name) for name in source.names[cut + 1 :]])
    for name in source.names[:cut]:
        folder = _inside(name)
        found = names_in(source.address(folder))
        paths = (posixpath.join(folder, one) for one, below in found if _is_xml(one) and not below)
        jobs = (partial(_read, source, pictures, path) for path in paths)
        for read in (job() for job in jobs) if storage.is_local(source.uri) else ahead(jobs):
            yield from _items_of(read)
    yield from closed_below(source.uri)


def _inside(name: str) -> str:
    """A folder's path below the source, as it is joined with names."""
    return "" if name == _HERE else name


def _read(source: Opened, pictures: _Pictures, path: str) -> _Read:
    try:
        pages = pages_in(storage.read_bytes(source.address(path), most=MAX_XML_BYTES + 1))
    except NotReadError as error:
        return _Read(path, [], error)
    except FileNotFoundError:
        return _Read(path, [], NotReadError("not_found", "it is gone"))
    except DataError as error:
        if not storage.is_local(source.uri):
            raise
        return _Read(path, [], NotReadError("unreadable", str(error)))
    if not any(page.lines for page in pages):
        return _Read(path, [], NotReadError("no_text", "it has no lines"))
    picture = pictures.of(path, pages[0].picture)
    return _Read(path, pages, None, picture, _size(source.address(picture)) if picture else None)


def _size(address: str) -> StatedSize | None:
    try:
        with open_ranged(address) as file:
            return stated_size(file)
    except (PictureError, FileNotFoundError):
        return None
    except DataError:
        if not storage.is_local(address):
            raise
        return None


class _Pictures:
    """Finds the picture of a page."""

    def __init__(self, source: Opened, folders: Sequence[str]) -> None:
        """``folders`` below the source have pictures."""
        self._source, self._folders = source, folders
        self._ways = [(folder, suffix) for suffix in _PICTURE_SUFFIXES for folder in folders]

    def of(self, path: str, named: str) -> str:
        """Its path; empty where there is none. ``path`` is that of the XML, which names it."""
        plain = named.replace("\\", "/")
        beside, base = posixpath.dirname(path), posixpath.basename(plain)
        candidates = [
            posixpath.join(beside, base),
            posixpath.join(beside, plain),
            plain,
            *(posixpath.join(folder, base) for folder in self._folders),
        ]
        there = (one for one in dict.fromkeys(map(_below, candidates)) if self._has(one))
        return next(there, "") or self._like(path, base)

    def _like(self, path: str, base: str) -> str:
        """The picture that is called as the XML is, or as it says but with another suffix."""
        stem = posixpath.basename(path)[: -len(_SUFFIX)]
        for mark in _MARKS:
            stem = stem.removesuffix(mark)
        if is_picture_name(stem):  # x.jpg.xml
            return self.of(path, stem) if stem != base else ""
        stems = dict.fromkeys(one for one in (stem, base.rpartition(".")[0]) if one)
        for way in list(self._ways):
            for one in stems:
                candidate = posixpath.join(way[0], f"{one}{way[1]}")
                if self._has(candidate):
                    if self._ways[0] != way:
                        self._ways = [way, *(other for other in self._ways if other != way)]
                    return candidate
        return ""

    def _has(self, path: str) -> bool:
        is_usable = is_picture_name(path) and not pictured("", path, "").reason
        return is_usable and may_be_there(self._source.address(path))


def _below(path: str) -> str:
    """The same path without ``..``; empty where it leaves the source."""
    plain = posixpath.normpath(path)
    return "" if plain.startswith(("/", "..")) else plain


def _items_of(read: _Read) -> Iterator[Item]:
    if read.complaint is not None:
        yield unusable(read.path, read.complaint.reason, str(read.complaint))
    for page in read.pages:
        try:
            scale = _scale(read, page)
        except NotReadError as error:
            for line in page.lines:
                yield unusable(f"{read.path}:{line.id}", error.reason, str(error))
        else:
            yield from (_item(read, line, scale) for line in page.lines)


def _scale(read: _Read, page: PageText) -> tuple[float, float]:
    """Px of the picture in a unit of the page, across and down.

    Raises:
        NotReadError: where its lines can't be cut out of the picture.
    """
    if not read.picture:
        named = f"{page.picture!r}" if page.picture else "it names none"
        message = f"there is no picture that goes with {read.path} ({named})"
        raise NotReadError("not_found", message)
    if page.number > 1:
        message = f"page {page.number} of its file; pictures are taken of the first"
        raise NotReadError("later_page", message)
    if read.size is None:
        return 1.0, 1.0
    width, height, dpi = read.size
    if page.width and page.height:
        across, down = width / page.width, height / page.height
        apart = max(abs(width - page.width), abs(height - page.height))
        if page.unit == PIXEL and apart <= _ROUNDING_PX:
            return 1.0, 1.0
        if abs(across / down - 1) <= _ROUNDING:
            return across, down
    if page.unit == PIXEL:
        if not (page.width and page.height):
            return 1.0, 1.0
        raise NotReadError(
            "other_size",
            f"the page is {page.width:g}x{page.height:g} px, its picture {read.picture} "
            f"{width}x{height}, which isn't the same in another size; give the picture that was "
            "labelled, turned as it was (EXIF)",
        )
    if dpi is not None:
        return dpi[0] / PER_INCH[page.unit], dpi[1] / PER_INCH[page.unit]
    raise NotReadError(
        "unknown_unit",
        f"its places are in {page.unit}, and neither the page's WIDTH and HEIGHT nor a resolution "
        f"in {read.picture} tells how many px that is; give it one, or convert them to pixel",
    )


def _item(read: _Read, line: TextLine, scale: tuple[float, float]) -> Item:
    if not line.points:
        message = "it has no outline or box, or one that isn't of finite numbers"
        return unusable(f"{read.path}:{line.id}", "no_region", message)
    item = Item(
        f"{read.picture}#{line.id}",
        line.text,
        group=read.picture,
        picture=Place(read.picture),
        region=_region(line, scale),
    )
    if line.text:
        return item
    return item._replace(reason="no_label", message=f"{read.path} has no text for it")


def _region(line: TextLine, scale: tuple[float, float]) -> Region:
    both = (line.points, line.baseline)
    points, baseline = (
        tuple(value * scale[place % 2] for place, value in enumerate(one)) for one in both
    )
    return corners_along(points, baseline)


PAGES = Format(find=_find, items=_items, reader=whole_files, in_order=True)
