"""``prepared``: what jobs/prepare.py made, to be cut anew, filtered, split or merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from crnn.errors import DataError
from pipelines.manifest import MANIFEST_NAME, load_manifest
from pipelines.output import PARTS_NAME, SPLITS
from pipelines.shards import check_sizes, read_row_group
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file:
        raise Lacks("a folder of shards")
    if not folder.has(MANIFEST_NAME) and not {PARTS_NAME, *SPLITS}.intersection(folder.folders):
        raise Lacks(f"a {MANIFEST_NAME}")
    try:
        shards = [shard.name for shard in load_manifest(folder.uri).shards]
    except DataError as error:
        raise Lacks(f"a {MANIFEST_NAME} of ours: {error}") from error
    unknown = [name for name in wanted if name not in shards]
    if unknown:
        raise DataError(f"{folder.uri} has no shard {', '.join(unknown)}; it has {shards[:20]}")
    return list(wanted) or shards


def _items(source: Opened) -> Iterator[Item]:
    manifest = load_manifest(source.uri)
    check_sizes(source.uri, manifest)
    for shard in manifest.shards:
        if shard.name not in source.names:
            continue
        for group in range(len(shard.row_groups)):
            table = read_row_group(source.uri, shard.name, group, ["id", "text", "source", "group"])
            for row, values in enumerate(table.to_pylist()):
                yield Item(
                    values["id"],
                    values["text"],
                    values.get("group") or "",
                    picture=Place(shard.name, f"{group}:{row}"),
                    source=values["source"],
                )


@contextmanager
def _reader(source: Opened) -> Iterator[Reader]:
    held: tuple[str, pa.ChunkedArray] = ("", pa.chunked_array([], pa.binary()))

    def read(places: Sequence[Place]) -> Iterator[Encoded]:
        nonlocal held
        for place in places:
            group, row = map(int, place.at.split(":"))
            name = f"{place.file}:{group}"
            if held[0] != name:
                table = read_row_group(source.uri, place.file, group, ["image"])
                held = name, table["image"]
            yield held[1][row].as_py()

    yield read


PREPARED = Format(find=_find, items=_items, reader=_reader, in_order=True)
