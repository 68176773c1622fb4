"""Small pictures of some rows for people to look at, decoded as apart from us as those read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.sandbox.pool import PicturePool
from pipelines.recognition.page import PictureOf, Region
from pipelines.recognition.source import Prefixes, encoded

_LOOK = PictureContract(height=96, channels=3, widths=(960,))


def thumbnails(rows: Sequence[Mapping[str, Any]], prefixes: Prefixes = ()) -> PictureOf:
    """The pictures of these rows, by ``uri`` and ``region``; None for any that can't be had.

    None for any of a later page of its file, and for any outside ``prefixes`` too: the rows may be
    of a job that was allowed more.
    """
    entries = [
        {"uri": row["uri"], "region": row["region"], "size": None}
        for row in rows
        if (row.get("page") or 1) == 1
    ]
    found: dict[tuple[str, tuple[float, ...] | None], Image.Image] = {}
    with PicturePool(_LOOK) as pool:
        pictures = chain.from_iterable(pool.prepare(encoded([entries], prefixes)))
        for entry, picture in zip(entries, pictures, strict=True):
            if not isinstance(picture, PictureError):
                pixels = picture.pixels[:, : picture.content_width_px]
                found[_key(entry["uri"], entry["region"])] = Image.fromarray(pixels)
    return lambda uri, region: found.get(_key(uri, region))


def _key(uri: str, region: Region) -> tuple[str, tuple[float, ...] | None]:
    return uri, None if region is None else tuple(region)
