"""Labelled pictures as people have them → a stream of items, and their encoded bytes.

    source = open_source("s3://bucket/words")
    for item in source.items(): …      # id, text, where the picture is; or why there is none
    source.read(items)                 # their encoded bytes, cut-outs as PNG

One file for each format, ``FORMATS`` names them all. Nothing here holds a whole listing.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import groupby

from PIL import Image

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.contract import decode_picture
from crnn.images.region import cut_out
from pipelines.sources.files import closed_among
from pipelines.sources.format import (
    Encoded,
    Folder,
    Format,
    Lacks,
    Opened,
    Reader,
    SourceOptions,
)
from pipelines.sources.icdar import ICDAR
from pipelines.sources.item import Item, Place
from pipelines.sources.label_studio import LABEL_STUDIO, is_export
from pipelines.sources.labels import LABELS, LIST_SUFFIXES, is_list
from pipelines.sources.lmdb_file import LMDB
from pipelines.sources.mjsynth import MJSYNTH
from pipelines.sources.names import NAMES, check_pattern
from pipelines.sources.pages import PAGES
from pipelines.sources.pairs import PAIRS
from pipelines.sources.parquet import PARQUET
from pipelines.sources.prepared import PREPARED
from pipelines.sources.results import RESULTS
from pipelines.sources.scene import SCENE
from pipelines.sources.tar import WEBDATASET

__all__ = ["FORMATS", "Item", "Place", "Source", "SourceOptions", "open_source"]

FORMATS: Mapping[str, Format] = {
    "prepared": PREPARED,
    "labels": LABELS,
    "label-studio": LABEL_STUDIO,
    "mjsynth": MJSYNTH,
    "icdar": ICDAR,
    "lmdb": LMDB,
    "webdataset": WEBDATASET,
    "parquet": PARQUET,
    "pairs": PAIRS,
    "names": NAMES,
    "results": RESULTS,
    "pages": PAGES,
    "scene": SCENE,
}
_LOOKED_INTO = 20
_LAST_RESORT = "scene"
"""Looked for only where no other format fits: it opens files."""


@dataclass(frozen=True, kw_only=True)
class Source(Opened):
    """Labelled pictures that were found at ``uri``; it can be sent to tasks."""

    @property
    def in_order(self) -> bool:
        """Whether pictures are cheap to read only one after another, as they lie."""
        return FORMATS[self.format].in_order

    @property
    def names_pictures(self) -> bool:
        """Whether its lists name picture files one by one, so that some may be left out."""
        return FORMATS[self.format].names_pictures

    def items(self) -> Iterator[Item]:
        """All that it lists, in the order of its lists, read as they are taken.

        Raises:
            DataError: when a list can't be read, or isn't what its format says.
        """
        kind = FORMATS[self.format]
        closed = closed_among(self.uri, self.names) if kind.of_files else {}
        open_names = tuple(name for name in self.names if name not in closed)
        yield from kind.items(replace(self, names=open_names))
        yield from closed.values()

    def reader(self) -> AbstractContextManager[Reader]:
        """Reads encoded pictures; it keeps files open and its place in them meanwhile."""
        return FORMATS[self.format].reader(self)

    def read(self, items: Sequence[Item]) -> list[Encoded]:
        """The encoded bytes of each item's picture, cut-outs as PNG; or why there are none.

        Decodes in this process what is to be cut out.

        Raises:
            DataError: when an object store fails for good: that says nothing of the pictures.
        """
        groups = [list(run) for _, run in groupby(items, key=lambda item: item.picture)]
        places = [group[0].picture for group in groups if group[0].picture is not None]
        results: list[Encoded] = []
        with self.reader() as read:
            files = read(places)
            for group in groups:
                if group[0].picture is None:
                    results += [PictureError(item.reason, item.message) for item in group]
                else:
                    results += _cut(group, next(files))
        return results


def open_source(
    uri: str,
    *,
    format: str = "auto",
    lists: Sequence[str] = (),
    options: SourceOptions | None = None,
) -> Source:
    """The source at ``uri``, in any of ``FORMATS``; ``lists`` names some of its lists.

    A list of labels that is named itself is read with the pictures in its folder.

    Raises:
        DataError: when there is nothing at ``uri``, or no format fits, or several do.
        ValueError: for an unknown format, or a label pattern that is none.
    """
    if format != "auto" and format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected auto or one of {', '.join(FORMATS)}")
    options = options or SourceOptions()
    if options.label_pattern:
        check_pattern(options.label_pattern)
        format = "names" if format == "auto" else format
    elif format == "names":
        raise ValueError("format names needs a --label-pattern with a group (?P<text>…)")
    folder, lists = _folder_of(Folder(storage.absolute(uri)), lists)
    chosen, names = _choose(folder, format, options, lists)
    return Source(uri=folder.uri, format=chosen, names=tuple(names), options=options)


def to_png(image: Image.Image) -> bytes:
    """A cut-out as it goes into a shard: without loss."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _folder_of(source: Folder, lists: Sequence[str]) -> tuple[Folder, Sequence[str]]:
    """Of a list of labels that is itself named as a source, its folder and its name there."""
    uri, options = storage.split_options(source.uri)
    folder, _, name = uri.rpartition("/")
    if source.is_file and not lists and name.lower().endswith((*LIST_SUFFIXES, ".txt")):
        return Folder((folder or "/") + options), [name]
    return source, lists


def _choose(
    folder: Folder, format: str, options: SourceOptions, lists: Sequence[str]
) -> tuple[str, Sequence[str]]:
    """The one format that fits, and what it found."""
    if format == "auto" and lists and all(is_list(folder, name) for name in lists):
        exported = all(name.endswith(".json") and folder.has(name) for name in lists) and all(
            is_export(storage.join(folder.uri, name)) for name in lists
        )
        format = "label-studio" if exported else "labels"
    fitting: dict[str, Sequence[str]] = {}
    lacking: dict[str, str] = {}
    for name in FORMATS if format == "auto" else [format]:
        if name == _LAST_RESORT and fitting:
            continue
        try:
            fitting[name] = FORMATS[name].find(folder, options, () if format == "auto" else lists)
        except Lacks as lacks:
            lacking[name] = str(lacks)
    if len(fitting) == 1:
        chosen, names = next(iter(fitting.items()))
        return chosen, FORMATS[chosen].find(folder, options, lists) if lists else names
    if fitting:
        raise DataError(
            f"{folder.uri} fits the formats {' and '.join(fitting)}; choose with --format"
        )
    tried = "".join(f"\n  {name}: lacks {what}" for name, what in lacking.items())
    kind = "format fits" if format == "auto" else "such source is at"
    raise DataError(f"no {kind} {folder.uri}; tried:{tried}{_of_lists(folder)}")


def _of_lists(folder: Folder) -> str:
    """Which flag reads files that may be lists of labels, though they aren't called so."""
    found = [name for name in folder.names[:_LOOKED_INTO] if is_list(folder, name)]
    if not found:
        return ""
    return (
        f"\nif {found[0]!r} lists pictures and texts, read it with --lists {shlex.quote(found[0])}"
    )


def _cut(items: Sequence[Item], data: Encoded) -> list[Encoded]:
    """What each item wants of one file."""
    if isinstance(data, PictureError) or all(item.region is None for item in items):
        return [data] * len(items)
    try:
        image = decode_picture(data)
    except PictureError as error:
        return [error] * len(items)
    return [_one(image, item, data) for item in items]


def _one(image: Image.Image, item: Item, data: bytes) -> Encoded:
    if item.region is None:
        return data
    try:
        return to_png(cut_out(image, item.region))
    except PictureError as error:
        return error
