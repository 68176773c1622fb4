"""Whole pages for many callers: their lines fill batches together with everybody's pictures.

    pages = OnlinePages(DbDetector(graph=detector_graph()), OnlinePagesConfig())
    documents = await pages.read(online, [data], OnlinePageRequest(), timeout_s=60)
    await pages.aclose()

A page is opened in a process of its own (``crnn.images.sandbox.pool``), its text is found in a
thread here, and its lines go to an ``OnlineRecognizer``. Each caller has a few pages in work at a
time, so that one with a single page doesn't wait for all of another's book.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from crnn.decode import Decoder
from crnn.errors import DeadlineError, PictureError, QueueFullError
from crnn.images.contract import PictureContract, Pixels
from crnn.images.prepare import Prepared
from crnn.images.sandbox.pool import PicturePool
from crnn.online.pages_config import OnlinePagesConfig
from crnn.online.places import LONGEST_RETRY_S, SHORTEST_RETRY_S
from crnn.online.recognizer import OnlineRecognizer
from crnn.pages.db import DbDetector
from crnn.pages.lines import Line, Lines
from crnn.pages.page import COUNT, LONGEST_PX, PageImage, PageRequest, may_have_pages

Answer = TypeVar("Answer")
_PACE_PAGES = 8
"""Approximate number of pages over which the rate is averaged."""


@dataclass(frozen=True, kw_only=True)
class OnlinePageRequest:
    """How the pages of one call are read."""

    pages: PageRequest = field(default_factory=PageRequest)
    """How they are opened; its number means nothing."""
    most_pages: int = 32
    """Maximum number of pages of all files together."""
    longest_px: int = LONGEST_PX
    """Longest side to which a page is shrunk to find its text, px."""
    decoder: Decoder | None = None
    """By default each bundle's own."""
    chars: bool = True
    """Whether to report each character's probability and place."""


@dataclass(frozen=True, kw_only=True)
class PageRead:
    """A page that was read."""

    width: int
    """Px, of the upright page."""
    height: int
    turned: int
    """Degrees clockwise by which its text lies turned on it: 0, 90, 180 or 270."""
    lines: Sequence[Line]
    """In reading order; none where there is no text."""
    seconds: float
    """From opening it to having read it."""


Document = list[PageRead | PictureError] | PictureError
"""The pages of a file, each read or with its error; or why the file can't be opened."""


class OnlinePages:
    """Reads pages by whichever recognizer a call brings. Use it from one event loop."""

    def __init__(self, detector: DbDetector, config: OnlinePagesConfig) -> None:
        """What it needs is loaded, and its process started, with the first page."""
        self.config = config
        self._detector = detector
        self._pool = PicturePool(
            PictureContract(),
            memory_bytes=config.open_memory_mb << 20,
            timeout_s=config.open_timeout_s,
            max_pixels=config.max_pixels,
        )
        self._threads = ThreadPoolExecutor(config.at_once, thread_name_prefix="online-pages")
        self._in_work = asyncio.Semaphore(config.at_once)
        self._loading, self._is_loaded = asyncio.Lock(), False
        self._page_s = 0.0
        """Seconds from one page to the next, about, while there are some."""
        self.pages = 0
        """Taken in and not yet answered."""

    async def read(
        self,
        online: OnlineRecognizer,
        files: Sequence[bytes | PictureError],
        request: OnlinePageRequest,
        *,
        timeout_s: float,
    ) -> list[Document]:
        """The pages of these files, in order; an error passes through.

        A page that can't be opened is an error in its place, a file without any is one itself.

        Raises:
            PictureError: ``too_many_pages`` where the files have more than ``most_pages``.
            QueueFullError: when too many pages are queued already; nothing was read.
            DeadlineError: after ``timeout_s``.
            DataError: when the detector doesn't run.
            ClosedError: as ``OnlineRecognizer.read``, and so ``EngineError``,
                ``WorkersLostError``.
        """
        deadline_s = time.monotonic() + timeout_s
        taken = _Taken(self)
        try:
            async with asyncio.timeout(timeout_s):
                with online.kept_open():
                    taken.take(len(files))
                    await self._load()
                    counts = await _all(self._count(data, request) for data in files)
                    pages = sum(one if isinstance(one, int) else 1 for one in counts)
                    if pages > request.most_pages:
                        raise PictureError(
                            "too_many_pages",
                            f"the files have {pages} pages, the most at once is "
                            f"{request.most_pages}; send several requests",
                        )
                    taken.take(pages - len(files))
                    return await self._read_all(online, files, counts, request, deadline_s)
        except TimeoutError:
            raise DeadlineError(
                f"{taken.pages} pages weren't read within {timeout_s:g} s; send fewer at a time, "
                "or allow more time"
            ) from None
        finally:
            taken.give_back()

    async def page(
        self, data: bytes, request: PageRequest, *, timeout_s: float
    ) -> PageImage | PictureError:
        """One page's pixels, for those who look at it; opened within the same bounds.

        Raises:
            QueueFullError: when too many pages are queued already.
            DeadlineError: after ``timeout_s``.
        """
        taken = _Taken(self)
        try:
            async with asyncio.timeout(timeout_s):
                taken.take(1)
                async with self._in_work:
                    return await self._open(data, request)
        except TimeoutError:
            raise DeadlineError(
                f"the page wasn't opened within {timeout_s:g} s; try again, or allow more time"
            ) from None
        finally:
            taken.give_back()

    def close(self) -> None:
        """End the process; who still waits gets ClosedError."""
        self._pool.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def aclose(self) -> None:
        """As ``close``, without blocking."""
        await asyncio.to_thread(self.close)

    async def _load(self) -> None:
        if not self._is_loaded:
            async with self._loading:
                await asyncio.to_thread(self._detector.load)
            self._is_loaded = True

    async def _count(
        self, data: bytes | PictureError, request: OnlinePageRequest
    ) -> int | PictureError:
        """How many pages a file has; its only one isn't opened yet."""
        if isinstance(data, PictureError):
            return data
        if not may_have_pages(data):
            return 1
        found = await self._open(data, replace(request.pages, number=COUNT))
        return found if isinstance(found, PictureError) else found.count

    async def _open(self, data: bytes, request: PageRequest) -> PageImage | PictureError:
        [found] = await asyncio.wrap_future(self._pool.open_page(data, request))
        return found

    async def _read_all(
        self,
        online: OnlineRecognizer,
        files: Sequence[bytes | PictureError],
        counts: Sequence[int | PictureError],
        request: OnlinePageRequest,
        deadline_s: float,
    ) -> list[Document]:
        gate = asyncio.Semaphore(self.config.at_once)

        async def page(data: bytes, number: int) -> PageRead | PictureError:
            async with gate, self._in_work:
                began_s = time.monotonic()
                found = await self._open(data, replace(request.pages, number=number))
                if isinstance(found, PictureError):
                    return found
                try:
                    read = await self._read_page(online, found.pixels, request, deadline_s, began_s)
                except PictureError as error:  # of the detector, on this page
                    return error
                self._note(read.seconds)
                return read

        asked = [
            (data, number)
            for data, count in zip(files, counts, strict=True)
            if isinstance(data, bytes) and isinstance(count, int)
            for number in range(count)
        ]
        read = iter(await _all(page(*one) for one in asked))
        documents: list[Document] = []
        for data, count in zip(files, counts, strict=True):
            if isinstance(count, PictureError):
                documents.append(count)
                continue
            found = [next(read) for _ in range(count)]
            is_document = isinstance(data, bytes) and may_have_pages(data)
            lost = found[0] if not is_document and isinstance(found[0], PictureError) else None
            documents.append(lost or found)
        return documents

    async def _read_page(
        self,
        online: OnlineRecognizer,
        pixels: Pixels,
        request: OnlinePageRequest,
        deadline_s: float,
        began_s: float,
    ) -> PageRead:
        loop = asyncio.get_running_loop()

        def confidences(pictures: Sequence[Prepared | PictureError]) -> list[float]:
            """In one of the threads."""
            left_s = max(deadline_s - time.monotonic(), 0.001)
            reading = online.read_lines(
                pictures, timeout_s=left_s, decoder=request.decoder, chars=False
            )
            found = asyncio.run_coroutine_threadsafe(reading, loop).result(left_s + 1)
            return [result.confidence for result in found]

        def find() -> tuple[Lines, list[Prepared | PictureError]]:
            detector = self._detector.at(request.longest_px)
            lines = Lines(pixels, detector, online.bundle.picture, confidences)
            return lines, [lines.prepared(one.region) for one in lines.found]

        lines, pictures = await loop.run_in_executor(self._threads, find)
        results = await online.read_lines(
            pictures,
            [partial(lines.prepared, one.region) for one in lines.found],
            timeout_s=max(deadline_s - time.monotonic(), 0.001),
            decoder=request.decoder,
            chars=request.chars,
        )
        return PageRead(
            width=pixels.shape[1],
            height=pixels.shape[0],
            turned=lines.turned,
            lines=[Line(*one, result) for one, result in zip(lines.found, results, strict=True)],
            seconds=time.monotonic() - began_s,
        )

    def _note(self, seconds: float) -> None:
        """How long a page took, while others were in work."""
        pace_s = seconds / self.config.at_once
        share = 1 / _PACE_PAGES if self._page_s else 1.0
        self._page_s += share * (pace_s - self._page_s)

    def take(self, pages: int) -> None:
        """Room for some more pages.

        Raises:
            QueueFullError: when there is none.
        """
        if self.pages + pages > self.config.queue:
            retry_s = min(max(self.pages * self._page_s, SHORTEST_RETRY_S), LONGEST_RETRY_S)
            raise QueueFullError(
                f"{self.pages} pages are queued; {pages} more would exceed the "
                f"{self.config.queue} allowed; try again in {retry_s:.1f} s",
                retry_s,
            )
        self.pages += pages


class _Taken:
    """The places that one call has."""

    def __init__(self, of: OnlinePages) -> None:
        self._of, self.pages = of, 0

    def take(self, pages: int) -> None:
        self._of.take(pages)
        self.pages += pages

    def give_back(self) -> None:
        self._of.pages -= self.pages


async def _all(running: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """All of them at once, in order; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in running]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
