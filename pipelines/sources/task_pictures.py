"""The pictures of Label Studio's tasks: where they are below a source, and how large."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

from crnn.errors import DataError, PictureError
from crnn.files import storage
from crnn.images.contract import StatedSize, stated_size
from pipelines.sources.files import may_be_there
from pipelines.sources.format import Opened
from pipelines.sources.item import pictured
from pipelines.sources.ranged import open_ranged
from pipelines.stores import is_picture_name

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


class BadTaskError(ValueError):
    """Why a region gives no sample; ``reason`` is that of its reject."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def path_in(address: str) -> str:
    """The path that an address in a task has: of a URL, of local files (``?d=``), of an upload."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d") if parts.path.endswith("/local-files/") else None
    return local[0] if local else unquote(parts.path) if parts.scheme or parts.query else address


class TaskPictures:
    """Finds the pictures of tasks below the source, and says how large they are."""

    def __init__(self, source: Opened) -> None:
        self._source = source

    def of(self, address: str) -> str:
        """The path below the source that has most of an address's folders.

        Raises:
            BadTaskError: ``not_found`` where there is none.
        """
        parts = [p for p in path_in(address).replace("\\", "/").split("/") if p not in ("", ".")]
        for start in range(len(parts)):
            tail = parts[start:]
            plain = _UPLOAD.sub("", tail[-1])
            for names in dict.fromkeys((tuple(tail), (*tail[:-1], plain))):
                for path in ("/".join(names), "images/" + "/".join(names)):
                    if self._has(path):
                        return path
        message = (
            f"{address[:120]!r} is not below the source by any end of its path; put the pictures "
            "beside the export, in folders as they were or all in one"
        )
        raise BadTaskError("not_found", message)

    def size(self, path: str) -> StatedSize | None:
        """Of a picture; None where its header doesn't tell.

        Raises:
            BadTaskError: ``unreadable`` where this machine doesn't let it be read.
        """
        try:
            with open_ranged(self._source.address(path)) as file:
                return stated_size(file)
        except (PictureError, FileNotFoundError):
            return None
        except DataError as error:
            if not storage.is_local(self._source.uri):
                raise
            raise BadTaskError("unreadable", str(error)) from None

    def _has(self, path: str) -> bool:
        is_usable = is_picture_name(path) and not pictured("", path, "").reason
        return is_usable and may_be_there(self._source.address(path))
