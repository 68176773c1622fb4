"""Pages of PDFs, TIFFs and pictures: their pixels, and errors for what can't be opened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from crnn.errors import PictureError
from crnn.image import PictureContract
from crnn.pages.opening import open_page
from crnn.pages.page import COUNT, Page, PageRequest
from crnn.pages.stream import pages_of
from crnn.picture_pool import PicturePool
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
        (in_file(REDS, "PDF"), "too_many_pages", "3 pages, over the limit of 2"),
        (in_file(REDS, "TIFF"), "too_many_pages", "3 pages, over the limit of 2"),
    ],
)
def test_what_cant_be_opened_says_why(data: bytes, code: str, words: str) -> None:
    with pytest.raises(PictureError, match=words) as caught:
        open_page(data, PageRequest(most_pages=2))
    assert caught.value.reason == code


def test_recursive_forms_and_javascript_do_nothing() -> None:
    page = "/MediaBox[0 0 72 36]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>"
    drawing = "4 0 obj<</Length 5>>stream\n/F Do\nendstream endobj\n"
    form = (
        "5 0 obj<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Length 5"
        "/Resources<</XObject<</F 5 0 R>>>>>>stream\n/F Do\nendstream endobj\n"
    )
    script = "/AA<</O<</S/JavaScript/JS(while\\(1\\){})>>>>"
    data = pdf(page + script, more=drawing + form)
    assert (open_page(data, PageRequest(dpi=72)).pixels == 255).all()


def test_pages_of_many_files_come_in_order_and_failures_harm_no_neighbour(
    pool: PicturePool,
) -> None:
    missing = PictureError("not_found", "no file")
    wide = pdf("/MediaBox[0 0 14400 14400]")
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


def _told(page: Page | PictureError) -> object:
    return page.reason if isinstance(page, PictureError) else page.pixels.shape[:2]
