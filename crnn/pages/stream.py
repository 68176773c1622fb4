"""The pages of many files, opened in decoding processes, a little ahead of whoever reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice

from crnn.errors import PictureError
from crnn.images.sandbox.pool import PicturePool
from crnn.pages.page import COUNT, PageImage, PageRequest, may_have_pages

AHEAD = 2
"""Pages opened ahead, of the same file or of the next ones: what bounds the memory."""
Opened = PageImage | PictureError


@dataclass(frozen=True, kw_only=True)
class OnePage:
    """A page of one of the files, or why there is none."""

    file: int
    """Which of the files, from 0 on."""
    number: int | None
    """Which page, from 0 on; None where the file itself can't be opened."""
    page: Opened


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A file whose first answer is on its way: its only page, or how many there are."""

    file: int
    data: bytes
    is_count: bool
    answer: Future[list[Opened]]


def pages_of(
    pool: PicturePool, files: Iterable[bytes | PictureError], request: PageRequest
) -> Iterator[OnePage]:
    """Every page of these files, in order; a file that can't be opened is one entry.

    ``request`` says how pages are opened; its page number is ignored. A page that fails is one
    entry too, and the other pages of its file still come. Files are opened as they are needed.

    Raises:
        WorkersLostError: when decoding processes can't be started.
    """
    source = enumerate(files)
    waiting: deque[_Asked] = deque()
    while True:
        waiting += (_ask(pool, *one, request) for one in islice(source, AHEAD - len(waiting)))
        if not waiting:
            return
        asked = waiting.popleft()
        (found,) = asked.answer.result()
        if isinstance(found, PictureError) or not asked.is_count:
            number = None if isinstance(found, PictureError) else 0
            yield OnePage(file=asked.file, number=number, page=found)
        else:
            for number, page in enumerate(_each(pool, asked.data, found.count, request)):
                yield OnePage(file=asked.file, number=number, page=page)


def _ask(pool: PicturePool, file: int, data: bytes | PictureError, request: PageRequest) -> _Asked:
    is_count = not isinstance(data, PictureError) and may_have_pages(data)
    first = replace(request, number=COUNT if is_count else 0)
    kept = b"" if isinstance(data, PictureError) or not is_count else data
    return _Asked(file=file, data=kept, is_count=is_count, answer=pool.open_page(data, first))


def _each(pool: PicturePool, data: bytes, count: int, request: PageRequest) -> Iterator[Opened]:
    """The pages of one file."""
    asked = (pool.open_page(data, replace(request, number=number)) for number in range(count))
    running: deque[Future[list[Opened]]] = deque(islice(asked, AHEAD))
    while running:
        (found,) = running.popleft().result()
        running += islice(asked, 1)
        yield found
