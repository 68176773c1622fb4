"""The picture of a row: its bytes, a name that is safe everywhere, and a small copy to look at."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import decode_picture
from crnn.images.region import cut_out
from pipelines.report.thumbnail import thumbnail
from pipelines.safe_names import safe_name

SHOWN_PX = (1200, 400)
SHOWN_BYTES = 40_000
_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "JPEG2000": "jp2", "TIFF": "tif"}
_HARMFUL = ("decoder_died", "decoder_timeout", "out_of_memory")
"""Errors of pictures that took a process down when they were read."""
BytesOf = Callable[[str], bytes]
"""The encoded picture at an address; raises PictureError."""


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture as it is kept and shown."""

    name: str
    """Name of its file."""
    data: bytes
    """The file as it was; a PNG where a region was cut out of it."""
    small: bytes
    """A JPEG for the page."""
    size: tuple[int, int]
    """Width and height, upright, px."""


def fetch(row: dict[str, Any], bytes_of: BytesOf) -> ShownPicture:
    """The picture of a row of the results; of whole pages ``bytes_of`` gives the row's page.

    Raises:
        PictureError: when it can't be read, decoded or cut out (any more).
    """
    if row["error_code"] in _HARMFUL:
        raise PictureError(row["error_code"], f"not opened here: {row['error_message']}")
    data = bytes_of(row["uri"])
    image = decode_picture(data)
    if row["region"] is None:
        suffix = _suffix(data)
    else:
        image = cut_out(image, tuple(row["region"]))
        data, suffix = _png(image), "png"
    return ShownPicture(
        name=f"{name_of(row)}.{suffix}",
        data=data,
        small=thumbnail(image, most_px=SHOWN_PX, most_bytes=SHOWN_BYTES),
        size=image.size,
    )


def name_of(row: dict[str, Any]) -> str:
    """A safe name for its picture; another version of a file has another name."""
    page = row.get("page") or 1
    later = (page,) if page > 1 else ()
    return safe_name(row["uri"], row["region"], row["etag"], *later)


def _suffix(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        found = image.format or "img"
    return _SUFFIXES.get(found, re.sub(r"[^a-z0-9]", "", found.lower()))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
