"""Pages of PDFs, TIFFs and pictures: their pixels, and errors for what can't be opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.sandbox.pool import PicturePool
from crnn.pages.opening import open_page
from crnn.pages.page import COUNT, PageImage, PageRequest
from crnn.pages.stream import pages_of
from crnn.pages.tiff import directories
from tests.crnn.pages import bad_pages
from tests.crnn.pages.bad_pages import locked
from tests.crnn.pages.drawn import encrypted_pdf, in_file, pdf
from tests.crnn.poison import encoded, noise

REDS = [Image.new("RGB", (40 + n, 20), (200 + n, 0, 0)) for n in range(3)]


@pytest.fixture(scope="module")
def pool() -> Iterator[PicturePool]:
    with PicturePool(PictureContract()) as pool:
        yield pool


@pytest.mark.parametrize(("kind", "dpi"), [("TIFF", 200), ("PDF", 72)])
def test_every_page_of_a_file_is_opened_as_it_is(kind: str, dpi: int) -> None:
    data = in_file(REDS, kind)
    assert open_page(data, PageRequest(number=COUNT)).count == 3
    for number, red in enumerate(REDS):
        page = open_page(data, PageRequest(number=number, dpi=dpi))
        assert (page.count, page.pixels.shape) == (3, (20, 40 + number, 3))
        assert np.abs(page.pixels.astype(int) - np.asarray(red)).max() < 4


def test_a_picture_is_one_page_and_dots_per_inch_are_of_pdfs() -> None:
    picture = noise(30, 20)
    page = open_page(encoded(picture), PageRequest(dpi=18))
    assert page.count == 1 and np.array_equal(page.pixels, np.asarray(picture))
    assert open_page(pdf(), PageRequest(dpi=144)).pixels.shape == (72, 144, 3)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "empty_file", "no bytes"),
        (b"%PDF-1.7\nnothing else", "undecodable", "not a readable PDF"),
        (b"II*\0 and nothing else", "undecodable", "not a"),
        (encrypted_pdf(), "encrypted", "password"),
        (pdf("/MediaBox[0 0 14400 14400]"), "too_large", "40000x40000 px at 200 dpi"),
        (in_file(REDS, "PDF"), "too_many_pages", "more pages than the limit of 2"),
        (in_file(REDS, "TIFF"), "too_many_pages", "more pages than the limit of 2"),
    ],
)
def test_what_cant_be_opened_says_why(data: bytes, code: str, words: str) -> None:
    with pytest.raises(PictureError, match=words) as caught:
        open_page(data, PageRequest(most_pages=2))
    assert caught.value.reason == code


@pytest.mark.parametrize("password", [b"secret", b""])
def test_a_pdf_that_only_its_owner_has_locked_is_opened(password: bytes) -> None:
    data, request = locked(user=password), PageRequest(dpi=72)
    if not password:
        assert (open_page(data, request).pixels[26:35, 1:10] == 0).all()  # its square
        return
    with pytest.raises(PictureError, match="wants a password"):
        open_page(data, request)


def test_bad_pages_end_as_they_should_and_harm_no_neighbour(pool: PicturePool) -> None:
    good = encoded(noise(9, 8))
    cases = bad_pages.light()
    files = [data for case in cases.values() for data in (case.data, good)]
    request = PageRequest(most_pages=bad_pages.MOST_PAGES, dpi=bad_pages.DPI)
    found: defaultdict[int, dict[int | None, str]] = defaultdict(dict)
    for one in pages_of(pool, files, request):
        number = None if one.number is None else one.number + 1
        code = one.page.reason if isinstance(one.page, PictureError) else bad_pages.OPENED
        found[one.file][number] = code
    for place, (name, case) in enumerate(cases.items()):
        pages = found[2 * place]
        assert pages.keys() == case.codes.keys(), (name, pages)
        assert all(pages[number] in codes for number, codes in case.codes.items()), (name, pages)
        assert found[2 * place + 1] == {1: bad_pages.OPENED}


def test_the_pages_of_a_thick_tiff_are_found_in_one_pass() -> None:
    data = bad_pages.tiff(range(3_000))
    assert len(directories(data, 5_000)) == 3_000 and len(directories(data, 7)) == 7
    request = PageRequest(number=2_999, most_pages=3_000)
    assert open_page(data, request).pixels.shape == (8, 8, 3)


def test_later_pages_of_a_tiff_keep_their_depth() -> None:
    steps = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64))
    first, second = (
        open_page(in_file([steps, steps], "TIFF"), PageRequest(number=number)).pixels
        for number in (0, 1)
    )
    assert np.array_equal(first, second) and (first.min(), first.max()) == (0, 255)


def test_pages_of_many_files_come_in_order_and_failures_harm_no_neighbour(
    pool: PicturePool,
) -> None:
    missing = PictureError("not_found", "no file")
    wide = pdf("/MediaBox[0 0 14400 14400]")
    files: list[bytes | PictureError]
    files = [in_file(REDS, "TIFF"), missing, encoded(noise(9, 8)), encrypted_pdf(), wide, b"?"]
    files.append(in_file(REDS[:2], "PDF"))
    found = list(pages_of(pool, files, PageRequest()))
    assert [(one.file, one.number, _told(one.page)) for one in found] == [
        (0, 0, (20, 40)), (0, 1, (20, 41)), (0, 2, (20, 42)),
        (1, None, "not_found"),
        (2, 0, (8, 9)),
        (3, None, "encrypted"),
        (4, 0, "too_large"),
        (5, None, "undecodable"),
        (6, 0, (56, 112)), (6, 1, (56, 114)),
    ]  # fmt: skip


def _told(page: PageImage | PictureError) -> object:
    return page.reason if isinstance(page, PictureError) else page.pixels.shape[:2]
