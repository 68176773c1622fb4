"""Puts a review in its place: pictures, then ``review.json``, then the page that names them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from itertools import chain, islice
from typing import Any

from crnn.errors import PictureError
from crnn.files import storage
from pipelines.recognition.page_pictures import PagePictures
from pipelines.recognition.summary import plain
from pipelines.review.config import LABEL_STUDIO, ReviewConfig
from pipelines.review.label_studio import (
    SETUP_NAME,
    TASKS_NAME,
    by_picture,
    local_files,
    setup_of,
    tasks_of,
)
from pipelines.review.page import Lost, ReviewItem, page
from pipelines.review.pictures import BytesOf, ShownPicture, fetch
from pipelines.review.selection import Row, Selection

HTML_NAME = "review.html"
JSON_NAME = "review.json"
IMAGES_FOLDER = "images"
_REMOTE_THREADS, _LOCAL_THREADS = 8, 2


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Pictures fetched, of all there are to fetch."""

    done: int
    total: int
    lost: int
    """Pictures that can't be shown."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """What lies in the folder now."""

    page_uri: str
    items: list[ReviewItem] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


def write(
    selection: Selection,
    out_uri: str,
    config: ReviewConfig,
    bytes_of: BytesOf,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Review:
    """Fetch the pictures, and write ``images/*``, ``review.json`` and last ``review.html``, or for
    Label Studio the setup and the tasks.

    Pictures of an earlier review in the same place are kept: labels may name them.

    Raises:
        DataError: when something can't be written.
    """
    out_uri = storage.absolute(out_uri)
    for_label_studio = config.format == LABEL_STUDIO
    if config.whole_pages:
        selection = by_picture(selection)
    last = TASKS_NAME if for_label_studio else HTML_NAME
    review = Review(page_uri=storage.join(out_uri, last))
    total = len(selection.rows)
    on_progress(Progress(done=0, total=total, lost=0))
    for done, found in enumerate(_fetched(selection, out_uri, bytes_of), start=1):
        if isinstance(found, Lost):
            review.lost.append(found)
        else:
            review.items.append(found)
        on_progress(Progress(done=done, total=total, lost=len(review.lost)))
    record = json.dumps(_record(selection, config, review), indent=1, ensure_ascii=False)
    storage.write_bytes(storage.join(out_uri, JSON_NAME), record.encode())
    if for_label_studio:
        at = config.pictures_at or _pictures_at(out_uri)
        setup, tasks = setup_of(whole_pages=config.whole_pages), tasks_of(review.items, at)
        storage.write_bytes(storage.join(out_uri, SETUP_NAME), setup.encode())
        storage.write_bytes(review.page_uri, tasks.encode())
        return review
    html = page(review.items, review.lost, selection, out_uri=out_uri, digest=_digest(selection))
    storage.write_bytes(review.page_uri, html.encode())
    return review


def _fetched(selection: Selection, out_uri: str, bytes_of: BytesOf) -> Iterator[ReviewItem | Lost]:
    """In the order of the rows; some are fetched at a time, only small copies are kept.

    A file that several of these rows are of is fetched once, and each of its pages drawn once.
    """

    def one(row: Row, bytes_of: BytesOf) -> ReviewItem | Lost:
        try:
            shown = fetch(row, bytes_of)
        except PictureError as error:
            return Lost(row=row, code=error.reason, message=str(error))
        _keep(shown, out_uri)
        return ReviewItem(row=row, name=shown.name, small=shown.small, size=shown.size)

    def of_file(rows: list[Row]) -> list[ReviewItem | Lost]:
        held = lru_cache(maxsize=1)(bytes_of)
        drawn = lru_cache(maxsize=1)(lambda page, uri: pages.picture(held(uri), page))
        return [one(row, partial(drawn, row["page"]) if row.get("page") else held) for row in rows]

    local = all(storage.is_local(row["uri"]) for row in selection.rows)
    rows = iter(selection.rows)
    with (
        PagePictures(selection.results_uri) as pages,
        ThreadPoolExecutor(_LOCAL_THREADS if local else _REMOTE_THREADS) as threads,
    ):
        while some := list(islice(rows, 4 * _REMOTE_THREADS)):
            by_file: defaultdict[str, list[int]] = defaultdict(list)
            for place, row in sorted(enumerate(some), key=lambda one: one[1].get("page") or 0):
                by_file[row["uri"]].append(place)
            files = [[some[place] for place in places] for places in by_file.values()]
            places = chain.from_iterable(by_file.values())
            found = zip(places, chain.from_iterable(threads.map(of_file, files)), strict=True)
            yield from (item for _, item in sorted(found, key=lambda pair: pair[0]))


def _pictures_at(out_uri: str) -> str:
    """As Label Studio finds them: local files below the folder that ``out_uri`` is in."""
    if storage.is_local(out_uri):
        return local_files(f"{storage.base_name(out_uri)}/{IMAGES_FOLDER}/")
    return f"{storage.split_options(storage.join(out_uri, IMAGES_FOLDER))[0]}/"


def _keep(shown: ShownPicture, out_uri: str) -> None:
    storage.write_bytes(storage.join(out_uri, IMAGES_FOLDER, shown.name), shown.data)


def _digest(selection: Selection) -> str:
    """Digest of the results' address: corrections are stored under it, for any selection."""
    return hashlib.sha256(selection.results_uri.encode()).hexdigest()[:16]


def _record(selection: Selection, config: ReviewConfig, review: Review) -> dict[str, Any]:
    return {
        "results": selection.results_uri,
        "select": {f.name: getattr(config, f.name) for f in fields(ReviewConfig)},
        "rows": selection.total,
        "found": selection.found,
        "kinds": {
            kind: {"taken": taken, "found": found}
            for kind, (taken, found) in selection.kinds.items()
        },
        "pictures": [
            {
                "uri": item.row["uri"],
                **_page(item.row),
                "region": plain(item.row["region"]),
                "image": f"{IMAGES_FOLDER}/{item.name}",
                "text": item.row["text"],
                "confidence": item.row["confidence"],
            }
            for item in review.items
        ],
        "lost": [
            {
                "uri": lost.row["uri"],
                **_page(lost.row),
                "region": plain(lost.row["region"]),
                "code": lost.code,
                "message": lost.message,
            }
            for lost in review.lost
        ],
    }


def _page(row: Row) -> dict[str, int]:
    """The page of a row, if the job read whole pages."""
    return {"page": row["page"]} if row.get("page") else {}
