"""Pages online: whoever reads beside, lines are ``Recognizer.read_page``'s."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from crnn.errors import ClosedError, DeadlineError, PictureError, QueueFullError
from crnn.images.region import cut_out
from crnn.online.pages import Document, OnlinePageRequest, OnlinePages, PageRead
from crnn.online.pages_config import OnlinePagesConfig
from crnn.pages import DbDetector, PageRequest, detector_graph
from tests.crnn.online.callers import CONFIG, OFFLINE, Running, check_same, running, until
from tests.crnn.online.test_cascade import FIRST, PICTURES, SECOND, THEN, Counting
from tests.crnn.online.test_cascade import OFFLINE as CASCADE
from tests.crnn.pages.dark import dark_pixels, some_fail
from tests.crnn.pages.drawn import in_file, pdf, turned, two_columns
from tests.crnn.poison import encoded

DETECTOR = DbDetector(graph=detector_graph())
PAGE = encoded(two_columns())
BOOK = in_file([two_columns(), turned(two_columns(), 1)], "TIFF")
WIDE = pdf("/MediaBox[0 0 14400 14400]")


@contextmanager
def reading(one: Running, **config: int) -> Iterator[OnlinePages]:
    pages = OnlinePages(DETECTOR, OnlinePagesConfig(**config))
    try:
        yield pages
    finally:
        one.run(pages.aclose())


def check_page(found: Document, data: bytes, number: int = 1) -> None:
    assert isinstance(found, list)
    page = found[number - 1]
    assert isinstance(page, PageRead)
    wanted = OFFLINE.read_page(data, detector=DETECTOR, number=number)
    assert [(line.region, line.score) for line in page.lines] == [
        (line.region, line.score) for line in wanted
    ]
    check_same([line.result for line in page.lines], [line.result for line in wanted])


def test_pages_of_many_callers_and_pictures_beside_them() -> None:
    with running() as one, reading(one) as pages:
        request = OnlinePageRequest(pages=PageRequest(most_pages=2))

        async def all_at_once() -> list[list[Document]]:
            files: Sequence[bytes | PictureError] = [BOOK, WIDE, b"?", PAGE]
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(pages.read(one.online, files, request, timeout_s=300))
                    for _ in range(2)
                ]
                beside = group.create_task(one.online.read(PICTURES, timeout_s=300))
            check_same(beside.result(), OFFLINE.read(PICTURES))
            return [each.result() for each in asked]

        for book, wide, broken, page in one.run(all_at_once()):
            check_page(book, BOOK, 1)
            check_page(book, BOOK, 2)
            check_page(page, PAGE)
            assert isinstance(wide, list) and isinstance(wide[0], PictureError)
            assert wide[0].reason == "too_large"
            assert isinstance(broken, PictureError) and broken.reason == "undecodable"
        assert pages.pages == one.online.pictures == 0


def test_lines_are_counted_with_their_page_not_as_pictures() -> None:
    counting = Counting()
    with running(observer=counting) as one, reading(one) as pages:
        one.run(pages.read(one.online, [PAGE], OnlinePageRequest(), timeout_s=300))
        one.run(one.online.read(PICTURES[:3], timeout_s=300))
    assert counting.models.total() == 3  # its threads, which count after they answered, have ended


def test_more_than_the_queue_holds_is_refused_and_nothing_of_it_stays() -> None:
    with running() as one, reading(one, queue=3) as pages:
        request = OnlinePageRequest(most_pages=2, chars=False)

        async def two_at_once() -> list[list[Document] | BaseException]:
            reads = [pages.read(one.online, [PAGE, PAGE], request, timeout_s=300) for _ in range(2)]
            return await asyncio.gather(*reads, return_exceptions=True)

        first, second = one.run(two_at_once())
        assert isinstance(first, list) and len(first) == 2
        assert isinstance(second, QueueFullError) and second.retry_after_s > 0
        assert "2 pages are queued; 2 more would exceed the 3" in str(second)
        with pytest.raises(PictureError, match="the files have 3 pages") as caught:
            one.run(pages.read(one.online, [BOOK, PAGE], request, timeout_s=300))
        assert caught.value.reason == "too_many_pages"
        assert pages.pages == 0


def test_what_takes_too_long_is_given_up_and_the_next_is_read() -> None:
    with running() as one, reading(one, at_once=1) as pages:

        async def give_up() -> list[Document]:
            with pytest.raises(DeadlineError, match=r"weren't read within 0\.001 s"):
                await pages.read(one.online, [BOOK], OnlinePageRequest(), timeout_s=0.001)
            return await pages.read(one.online, [PAGE], OnlinePageRequest(), timeout_s=300)

        [page] = one.run(give_up())
        check_page(page, PAGE)
        assert pages.pages == 0


def test_a_recognizer_that_closes_reads_the_pages_that_it_has() -> None:
    one = Running(CONFIG)
    with reading(one) as pages:

        async def close_meanwhile() -> list[Document]:
            read = pages.read(one.online, [BOOK, PAGE], OnlinePageRequest(), timeout_s=300)
            task = asyncio.create_task(read)
            await until(lambda: pages.pages == 3)
            await one.online.aclose()
            assert task.done() or pages.pages == 0
            with pytest.raises(ClosedError, match="use the one that replaced it"):
                await pages.read(one.online, [PAGE], OnlinePageRequest(), timeout_s=300)
            return await task

        book, page = one.run(close_meanwhile())
        check_page(book, BOOK, 2)
        check_page(page, PAGE)
    one.end()


def test_lines_that_the_first_bundle_doubts_are_read_by_the_second() -> None:
    with running(bundle=FIRST, then=THEN) as one, reading(one) as pages:
        [found] = one.run(pages.read(one.online, [BOOK], OnlinePageRequest(), timeout_s=300))
        assert isinstance(found, list)
        models: Counter[str] = Counter()
        for page, picture in zip(found, (two_columns(), turned(two_columns(), 1)), strict=True):
            assert isinstance(page, PageRead)
            cut = [np.asarray(cut_out(picture, line.region)) for line in page.lines]
            check_same([line.result for line in page.lines], CASCADE.read(cut))
            models.update(line.result.model for line in page.lines)
        assert models[SECOND.digest]


def test_a_page_that_the_detector_cannot_take_fails_alone(tmp_path: Path) -> None:
    detector = DbDetector(graph=detector_graph(dark_pixels(tmp_path)))
    with running() as one:
        pages = OnlinePages(detector, OnlinePagesConfig())
        files = [in_file(some_fail(), "TIFF")]
        reading = pages.read(one.online, files, OnlinePageRequest(), timeout_s=300)
        [[first, failed, third]] = one.run(reading)
        one.run(pages.aclose())
    assert isinstance(failed, PictureError) and failed.reason == "detector_failed"
    assert first.lines and len(first.lines) == len(third.lines)
