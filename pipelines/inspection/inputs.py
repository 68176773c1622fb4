"""What is inspected: prepared sets in row groups, other sources in ranges of their lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from crnn.errors import DataError
from crnn.files import storage
from pipelines.inspection.settings import ReadConfig
from pipelines.manifest import MANIFEST_NAME
from pipelines.output import SPLITS
from pipelines.rejects import rejected
from pipelines.set_names import set_names
from pipelines.shards import check_sizes, load_manifest
from pipelines.sources import Item, Source, open_source
from pipelines.sources.item import with_unicode_name

PREPARED = "prepared"
RANGE_ITEMS = 1024
"""Items of a source in one piece."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One set of labelled pictures."""

    name: str
    uri: str
    format: str
    """Its format among ``pipelines.sources.FORMATS``."""
    source: Source | None = None
    """How to read what is not a prepared set."""
    samples: int | None = None
    """None: known when its list has been read to the end."""
    digest: str = ""
    rejects: dict[str, int] = field(default_factory=dict)
    """Inputs that were set aside when it was prepared, by reason."""
    groups: tuple[tuple[str, int, int], ...] = ()
    """Shard, row group and its rows, in order."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of one set, the work of one task."""

    set: int
    start: int
    """Rows of the set before it."""
    rows: int
    shard: str = ""
    group: int = 0
    items: tuple[Item, ...] = ()


def find_sets(uris: Sequence[str], config: ReadConfig) -> list[DataSet]:
    """What lies at the addresses; a folder of prepared splits is one set for each of them.

    Raises:
        DataError: for an address with nothing there, an unfinished or incomplete set, a source of
            no known format.
        ValueError: when an address is given twice.
    """
    found = [absolute for uri in uris for absolute in _split(storage.absolute(uri))]
    return [_data_set(name, uri, config) for name, uri in set_names(found).items()]


def pieces(data: DataSet, number: int, *, limit: int = 0) -> Iterator[Piece]:
    """The pieces of set ``number``, at most ``limit`` rows (0: all); a source is listed anew."""
    left, start = limit or float("inf"), 0
    for piece in _of_source(data.source, number) if data.source else _of_shards(data, number):
        rows = int(min(piece.rows, left - start))
        if rows <= 0:
            return
        yield Piece(**{**vars(piece), "start": start, "rows": rows, "items": piece.items[:rows]})
        start += rows


def set_aside(data: DataSet, most: int) -> list[tuple[str, str, str]]:
    """(id, reason, message) of the first inputs that preparation set aside."""
    return list(islice(rejected(data.uri), most)) if data.rejects else []


def _split(uri: str) -> list[str]:
    """The address, or those of its splits."""
    if storage.exists(storage.join(uri, MANIFEST_NAME)):
        return [uri]
    below = [storage.join(uri, name) for name in SPLITS]
    return [b for b in below if storage.exists(storage.join(b, MANIFEST_NAME))] or [uri]


def _data_set(name: str, uri: str, config: ReadConfig) -> DataSet:
    if not storage.exists(storage.join(uri, MANIFEST_NAME)):
        source = open_source(uri, format=config.format, lists=config.lists, options=config.options)
        return DataSet(name=name, uri=uri, format=source.format, source=source)
    manifest = load_manifest(uri)
    if not manifest.count:
        raise DataError(f"{uri} holds no samples; its rejects are {manifest.rejects}")
    check_sizes(uri, manifest)
    groups = tuple(
        (shard.name, group, rows)
        for shard in manifest.shards
        for group, rows in enumerate(shard.row_groups)
    )
    return DataSet(
        name=name, uri=uri, format=PREPARED, samples=manifest.count, digest=manifest.digest,
        rejects=manifest.rejects, groups=groups,
    )  # fmt: skip


def _of_shards(data: DataSet, number: int) -> Iterator[Piece]:
    for shard, group, rows in data.groups:
        yield Piece(set=number, start=0, rows=rows, shard=shard, group=group)


def _of_source(source: Source, number: int) -> Iterator[Piece]:
    items = map(with_unicode_name, source.items())
    while some := tuple(islice(items, RANGE_ITEMS)):
        yield Piece(set=number, start=0, rows=len(some), items=some)
