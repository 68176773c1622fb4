"""``POST /v1/pages/picture?page=2``: a page as a JPEG, for those who can't draw its file.

curl --data-binary @scan.pdf -o page.jpg 'localhost:8000/v1/pages/picture?page=2'
"""

from __future__ import annotations

import asyncio
import io
import re

from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import Pixels
from crnn.pages.page import PageRequest
from jobs.serving.exchange import Answer, Headers, Request, WhileWanted
from jobs.serving.problems import ProblemError
from jobs.serving.service import Service, as_problems

LONGEST_PX = 1800
"""Longest side of the picture: sharp on a screen."""
_QUALITY = 80
_HEADERS: Headers = [(b"content-type", b"image/jpeg"), (b"x-content-type-options", b"nosniff")]
_QUERY = re.compile(rb"(?:page=([1-9][0-9]{0,8}))?")


class PagePicture:
    """Draws a page of what a request brings."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; raises ProblemError and ClientGoneError."""
        work, limits = self._service.pages, self._service.limits
        reader, settings = work.reader(), work.settings
        wanted = PageRequest(
            number=_number(request.query) - 1, dpi=settings.dpi, most_pages=settings.per_file
        )
        async with request.body(limits, work.held) as body:
            left_s = max(request.deadline_s - asyncio.get_running_loop().time(), 0.001)
            with WhileWanted(request.receive), as_problems():
                page = await reader.page(body, wanted, timeout_s=left_s)
        if isinstance(page, PictureError):
            raise ProblemError("invalid", f"{page.reason}: {page}")
        return Answer(await asyncio.to_thread(_jpeg, page.pixels), headers=_HEADERS)


def _number(query: bytes) -> int:
    found = _QUERY.fullmatch(query)
    if found is None:
        raise ProblemError("invalid", f"the query is {query[:80]!r}; expected page=1, or more")
    return int(found[1] or 1)


def _jpeg(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_PX, LONGEST_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
