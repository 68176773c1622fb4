"""Pages of files as pictures once more, drawn as the job has drawn them that found their lines."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cached_property
from types import TracebackType

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.sandbox.pool import PicturePool
from crnn.pages.page import PageRequest, is_pdf
from pipelines.recognition.finished import page_request


class PagePictures:
    """Draws in a decoding process, which starts with the first page that needs it; from any thread.

    A context manager.
    """

    def __init__(self, folder: str) -> None:
        """``folder`` is a ``model=…`` folder of results."""
        self._folder = folder
        self._pool = PicturePool(PictureContract())

    def __enter__(self) -> PagePictures:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.close()

    def picture(self, data: bytes, page: int) -> bytes:
        """The encoded picture of a file's page, from 1 on: a PNG, or the file if that has it first.

        Raises:
            PictureError: as ``crnn.pages.opening.open_page``, and as ``PicturePool.prepare``.
            DataError: as ``page_request``.
        """
        if page == 1 and not is_pdf(data):
            return data
        request = replace(self._request, number=page - 1)
        (found,) = self._pool.open_page(data, request).result()
        if isinstance(found, PictureError):
            raise found
        file = io.BytesIO()
        Image.fromarray(found.pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()

    @cached_property
    def _request(self) -> PageRequest:
        return page_request(self._folder)
