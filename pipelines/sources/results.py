"""``results``: what a bulk job has read, as labels: how a student learns from a teacher.

    OUTPUT/model=<digest>/part-*.parquet    one row a picture: address, region, text, confidence

Pictures are fetched from where they lie; a region is cut out, of whole pages too: those of PDFs and
later ones of TIFFs are drawn as the job has drawn them. A row that is an error, less sure
than ``min_confidence`` or ``min_character_confidence``, or read turned is no sample, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.result import LOW_CONFIDENCE
from pipelines.read_ahead import ahead
from pipelines.recognition.finished import (
    COMPLETE_THEM,
    FOLDER,
    check_finished,
    read_part,
    results_at,
)
from pipelines.sources.files import read_file
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, Reader, SourceOptions
from pipelines.sources.item import Item, Place

if TYPE_CHECKING:
    from pipelines.recognition.page_pictures import PagePictures

_COLUMNS = [
    *("uri", "page", "region", "text", "confidence", "turned"),
    *("error_code", "error_message"),
]


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    is_results = storage.base_name(folder.uri).startswith(FOLDER)
    if not is_results and not any(name.startswith(FOLDER) for name in folder.folders):
        raise Lacks(f"a {FOLDER}… folder of a bulk job")
    found, parts = results_at(folder.uri)
    check_finished(found, COMPLETE_THEM)
    below = "" if is_results else f"{storage.base_name(found)}/"
    names = [f"{below}{storage.base_name(part)}" for part in parts]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DataError(f"{folder.uri} has no {', '.join(unknown)}; it has {names[:20]}")
    return list(wanted) or names


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names:
        for row in read_part(source.address(name), _COLUMNS).to_pylist():
            yield _item(row, source.options)


def _item(row: dict[str, Any], options: SourceOptions) -> Item:
    uri, region = row["uri"], row["region"]
    bare = storage.split_options(uri)[0]
    corners = ",".join(f"{value:g}" for value in region or ())
    page = row.get("page")
    if (page or 1) > 1:
        corners = f"page={page},{corners}"
    item = Item(
        f"{bare}#{corners}" if corners else bare,
        row["text"] or "",
        group=bare if region else "",
        picture=Place(uri, str(page) if page else ""),
        region=tuple(region) if region else None,
    )
    reason, message = _why_not(row, options)
    if not reason:
        return item
    return item._replace(text="", picture=None, region=None, reason=reason, message=message)


def _why_not(row: dict[str, Any], options: SourceOptions) -> tuple[str, str]:
    """Reason and message of a row that is no sample."""
    if row["error_code"] is not None:
        return row["error_code"], row["error_message"] or ""
    if row["confidence"] is None:
        return "no_text", "no text was found on the page"
    if row["confidence"] < options.min_confidence:
        return LOW_CONFIDENCE, f"{row['confidence']:.4f}; the minimum is {options.min_confidence:g}"
    a_character = row["confidence"] ** (1 / max(1, len(row["text"] or "")))
    if a_character < options.min_character_confidence:
        least = options.min_character_confidence
        return LOW_CONFIDENCE, f"{a_character:.4f} a character; the minimum is {least:g}"
    if row["turned"]:
        message = f"read turned by {row['turned']}°; training takes pictures as they are"
        return "turned", message
    return "", ""


@contextmanager
def _reader(source: Opened) -> Iterator[Reader]:
    from pipelines.recognition.page_pictures import PagePictures  # whose lists are read as
    from pipelines.recognition.source import shard_row  # sources are

    def read_places(places: Sequence[Place]) -> Iterator[Encoded]:
        for in_shards, run in groupby(places, key=lambda place: bool(shard_row(place.file)[0])):
            files = [(uri, list(some)) for uri, some in groupby(run, key=lambda one: one.file)]
            uris = [uri for uri, _ in files]
            read = _of_shards(uris) if in_shards else _files(uris)
            for (_, some), data in zip(files, read, strict=True):
                yield from (_page(data, place, pages) for place in some)

    folder = source.address(source.names[0].rpartition("/")[0])
    with PagePictures(folder) as pages:
        yield read_places


def _files(uris: Sequence[str]) -> Iterator[Encoded]:
    jobs = [partial(read_file, uri) for uri in uris]
    return (job() for job in jobs) if all(map(storage.is_local, uris)) else ahead(jobs)


def _page(data: Encoded, place: Place, pages: PagePictures) -> Encoded:
    """The page that is meant, of a job that reads whole pages; otherwise the file."""
    if isinstance(data, PictureError) or not place.at:
        return data
    try:
        return pages.picture(data, int(place.at))
    except PictureError as error:
        return error


def _of_shards(uris: Sequence[str]) -> Iterator[Encoded]:
    """Rows of prepared sets, neighbours in one read."""
    from pipelines.recognition.source import encoded

    entries = [{"uri": uri, "size": None, "region": None} for uri in uris]
    for file in encoded([entries]):
        yield from [file.data] * len(file.regions)


RESULTS = Format(find=_find, items=_items, reader=_reader, in_order=True)
