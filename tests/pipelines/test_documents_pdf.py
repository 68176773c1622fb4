"""Searchable PDFs look as the files that were read, and give their words back, in place."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Sequence
from ctypes import c_int
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image, ImageDraw

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import decode_picture
from pipelines.documents.config import DocumentsConfig
from pipelines.documents.write import Written, write_documents
from pipelines.stores import file_at, files_at
from tests.faulty_s3 import faulty
from tests.pipelines.test_documents import MODEL, results, row

PDF = DocumentsConfig(format=("pdf",))
SIZE = (400, 300)
TEXTS = (
    "caf\u00e9 stra\u00dfe 12,50 \u20ac",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u65e5\u672c \U0001f600 o\u0308",
    "fine )left( ",
)


def region(line: int, width: float = 200.0) -> list[float]:
    top = 40.0 * line
    return [20.0, top, 20 + width, top, 20 + width, top + 20, 20.0, top + 20]


def lines(uri: str, texts: Sequence[str] = TEXTS, page: int = 1) -> list[dict]:
    return [
        row(uri, page, number, text, region=region(number))
        for number, text in enumerate(texts, start=1)
    ]


def picture(format: str = "JPEG", mode: str = "RGB", **more: Any) -> bytes:
    """Another corner is dark, another side is wide, so that none can be taken for another."""
    image, buffer = Image.new(mode, SIZE, "white"), io.BytesIO()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 99, 49), fill="black")
    draw.rectangle((300, 200, 349, 299), fill="gray")
    image.save(buffer, format, **more)
    return buffer.getvalue()


def read_at(folder: Path | str, rows: Sequence[dict], dpi: int = 100) -> str:
    """Results with their ledger's recipe."""
    place = results(folder, rows)
    recipe = storage.join(place, "_work", MODEL[:16], "recipe.json")
    storage.write_bytes(recipe, json.dumps({"dpi": dpi, "max_pages": 2000}).encode())
    return place


def made(
    tmp_path: Path, name: str, data: bytes, rows: Callable[[str], list[dict]], dpi: int = 100
) -> pypdfium2.PdfDocument:
    """The searchable PDF of one file."""
    file = tmp_path / name
    file.write_bytes(data)
    found = convert(read_at(tmp_path / "r", rows(str(file)), dpi), tmp_path / "out")
    assert (found.written, found.errors) == (1, {})
    (path,) = (tmp_path / "out").glob("*.pdf")
    return pypdfium2.PdfDocument(path)


def convert(place: str, out: Path, config: DocumentsConfig = PDF) -> Written:
    return write_documents(place, str(out), config)


def drawn(page: Any, size: tuple[int, int]) -> np.ndarray:
    scale = size[0] / page.get_size()[0]
    image = page.render(scale=scale).to_pil().convert("RGB")
    assert image.size == size
    return np.asarray(image, dtype=float)


def place_of(page: Any, text: str, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Where PDFium finds a text: left, top, right, bottom in px of the page as it is drawn."""
    textpage = page.get_textpage()
    start, count = textpage.search(text, match_case=True).get_next()
    corners = []
    for index in range(start, start + count):
        left, bottom, right, top = textpage.get_charbox(index)
        for x, y in ((left, bottom), (right, top)):
            px, py = c_int(), c_int()
            pypdfium2.raw.FPDF_PageToDevice(
                page, 0, 0, size[0] * 100, size[1] * 100, 0, x, y, px, py
            )
            corners.append((px.value / 100, py.value / 100))
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def words_in(page: Any) -> list[str]:
    return sorted(str(page.get_textpage().get_text_range()).split())


def test_every_word_comes_back_in_its_place(tmp_path: Path) -> None:
    document = made(tmp_path, "a.jpg", picture(), lines)
    (page,) = document
    assert words_in(page) == sorted(" ".join(TEXTS).split())
    for number, text in enumerate(TEXTS[:2], start=1):
        share = 200 / len(text)
        for word in text.split():
            start = text.index(word)
            left, top, right, bottom = place_of(page, word, SIZE)
            expected = (20 + share * start, 40 * number, 20 + share * (start + len(word)))
            assert (left, top, right) == pytest.approx(expected, abs=1.5)
            assert bottom == pytest.approx(40 * number + 20, abs=1.5)
    first, second = (place_of(page, word, SIZE) for word in TEXTS[2].split())
    assert second[2] < first[0]  # from right to left
    assert first[2] == pytest.approx(220, abs=1.5)
    lines_back = str(page.get_textpage().get_text_range()).splitlines()
    assert [line.strip() for line in lines_back][:3] == list(TEXTS[:3])


def test_the_text_is_not_seen_and_a_jpeg_is_as_it_was(tmp_path: Path) -> None:
    data = picture(dpi=(150, 150))
    document = made(tmp_path, "a.jpg", data, lines)
    page = document[0]
    assert page.get_size() == pytest.approx((SIZE[0] * 0.48, SIZE[1] * 0.48))
    with Image.open(io.BytesIO(data)) as image:
        assert np.abs(drawn(page, SIZE) - np.asarray(image, dtype=float)).mean() < 3
    (path,) = (tmp_path / "out").glob("*.pdf")
    with pikepdf.open(path) as pdf:
        (image,) = pdf.pages[0].images.values()
        assert image.read_raw_bytes() == data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_of_jpegs(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = picture(exif=exif)
    document = made(tmp_path, "a.jpg", data, lambda uri: lines(uri, ["word"]))
    upright = decode_picture(data)
    assert np.abs(drawn(document[0], upright.size) - np.asarray(upright, dtype=float)).mean() < 4
    left, top, *_ = place_of(document[0], "word", upright.size)
    assert (left, top) == pytest.approx((20, 40), abs=1.5)


@pytest.mark.parametrize(("size", "dpi"), [((5000, 1), 100), ((1, 9000), 100), ((4244, 9), 18)])
def test_a_page_is_as_long_and_as_short_as_a_pdf_lets_it_be(
    tmp_path: Path, size: tuple[int, int], dpi: int
) -> None:
    assert 14_400 / 4244 * 4244 > 14_400  # by rounding
    buffer = io.BytesIO()
    Image.new("L", size).save(buffer, "PNG")
    document = made(tmp_path, "a.png", buffer.getvalue(), lambda uri: lines(uri, ["word"]), dpi)
    assert all(3 <= side <= 14_400 for side in document[0].get_size())


@pytest.mark.parametrize(
    ("format", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("BMP", "RGB"), ("JPEG", "CMYK")]
)
def test_other_pictures_keep_their_pixels(tmp_path: Path, format: str, mode: str) -> None:
    data = picture(format, mode)
    document = made(tmp_path, "a.png", data, lambda uri: lines(uri, ["word"]))
    upright = np.asarray(decode_picture(data).convert("RGB"), dtype=float)
    assert np.abs(drawn(document[0], SIZE) - upright).mean() < 2
    assert words_in(document[0]) == ["word"]


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    first, second = (Image.new("L", SIZE, grey) for grey in (200, 90))
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    rows = lambda uri: [*lines(uri, ["one"]), *lines(uri, ["two"], page=2)]  # noqa: E731
    document = made(tmp_path, "a.tif", buffer.getvalue(), rows)
    assert [words_in(page) for page in document] == [["one"], ["two"]]
    greys = [drawn(page, SIZE).mean() for page in document]
    assert greys == pytest.approx([200, 90], abs=2)


def three_pages() -> bytes:
    """Vector graphics; one page on its side and cropped, one that leaves a scale behind."""
    pdf, buffer = pikepdf.new(), io.BytesIO()
    for content in (b"0 0 80 40 re f", b"0 0 80 40 re f", b"q 2 0 0 2 0 0 cm 0 0 80 40 re f"):
        page = pdf.add_blank_page(page_size=(288, 216))
        page.Contents = pdf.make_stream(content)
    pdf.pages[1].Rotate = 90
    pdf.pages[1].CropBox = [10, 20, 250, 200]
    pdf.save(buffer)
    return buffer.getvalue()


def test_pages_of_a_pdf_are_kept(tmp_path: Path) -> None:
    data = three_pages()
    rows = lambda uri: [*lines(uri, ["one x"]), *lines(uri, ["two"], 2), *lines(uri, ["six"], 3)]  # noqa: E731
    document = made(tmp_path, "a.pdf", data, rows)
    before = pypdfium2.PdfDocument(data)
    for number, word in enumerate(("one", "two", "six")):
        page, other = document[number], before[number]
        assert page.get_size() == other.get_size()
        size = tuple(math.ceil(side * 100 / 72) for side in page.get_size())
        assert (drawn(page, size) == drawn(other, size)).all()
        left, top, right, bottom = place_of(page, word, size)
        width = 120 if number == 0 else 200
        assert (left, top, right, bottom) == pytest.approx((20, 40, 20 + width, 60), abs=2)
    (path,) = (tmp_path / "out").glob("*.pdf")
    with pikepdf.open(path) as pdf:
        assert not any(page.images for page in pdf.pages)


def test_a_page_of_a_pdf_alone_and_pages_that_were_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(three_pages())
    rows = [*lines(str(file), ["one"]), row(str(file), 3, None, "")]
    place = read_at(tmp_path / "r", rows)
    found = convert(place, tmp_path / "pages", DocumentsConfig(format=("pdf", "txt"), per="page"))
    assert (found.written, found.errors) == (4, {})
    paths = sorted((tmp_path / "pages").rglob("*.pdf"))
    assert [path.name for path in paths] == ["0001.pdf", "0003.pdf"]
    texts = [[words_in(page) for page in pypdfium2.PdfDocument(path)] for path in paths]
    assert texts == [[["one"]], [[]]]
    convert(place, tmp_path / "files")
    (path,) = (tmp_path / "files").glob("*.pdf")
    assert [words_in(page) for page in pypdfium2.PdfDocument(path)] == [["one"], [], []]


def test_a_file_that_is_gone_or_no_picture_any_more_is_a_problem(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(picture())
    bad.write_bytes(b"no picture")
    rows = [row_ for uri in ("/gone.jpg", str(bad), str(good)) for row_ in lines(uri, ["word"])]
    place = read_at(tmp_path / "r", rows)
    found = convert(place, tmp_path / "out", DocumentsConfig(format=("txt", "pdf")))
    assert found.errors == {"not_found": 1, "undecodable": 1}
    assert found.written == 4
    assert len(list((tmp_path / "out").glob("*.pdf"))) == 1
    again = convert(place, tmp_path / "out", DocumentsConfig(format=("txt", "pdf")))
    assert (again.written, again.kept, again.errors) == (0, 4, found.errors)


def as_listed(uri: str, text: str = "word", etag: str | None = None) -> list[dict]:
    """Rows of one line of what is there now, in the version that a listing of it gives."""
    (listed,) = [file["etag"] for file in files_at(uri.rpartition("/")[0]) if file["uri"] == uri]
    return [one | {"etag": listed if etag is None else etag} for one in lines(uri, [text])]


def test_a_file_that_changed_gets_no_text_of_another_and_its_older_pdf_goes(tmp_path: Path) -> None:
    kept, changed = tmp_path / "kept.jpg", tmp_path / "changed.jpg"
    for file in (kept, changed):
        file.write_bytes(picture())
    before = file_at(str(changed))["etag"]
    rows = [*as_listed(str(kept)), *as_listed(str(changed), "old")]
    place, both = read_at(tmp_path / "r", rows), DocumentsConfig(format=("pdf", "txt"))
    assert convert(place, tmp_path / "out", both).written == 4
    for path in (tmp_path / "out").glob("*.pdf"):
        os.utime(path, (1, 1))  # older than the rows
    changed.write_bytes(picture("PNG"))
    found = convert(place, tmp_path / "out", both)
    assert (found.written, found.kept, found.errors) == (1, 2, {"changed": 1})
    (problem,) = found.examples
    assert (problem.uri, problem.page) == (str(changed), None)
    assert f"was read in version {before}, and is there in version " in problem.message
    assert file_at(str(changed))["etag"] in problem.message
    (path,) = (tmp_path / "out").glob("*.pdf")
    assert path.name.startswith("kept-")
    read_at(tmp_path / "r", [*as_listed(str(kept)), *as_listed(str(changed), "new")])
    assert convert(place, tmp_path / "out").errors == {}
    texts = {path.name[:4]: path for path in (tmp_path / "out").glob("*.pdf")}
    assert words_in(pypdfium2.PdfDocument(texts["chan"])[0]) == ["new"]


def test_a_damaged_pdf_does_not_keep_others_from_theirs(tmp_path: Path) -> None:
    with pikepdf.open(io.BytesIO(three_pages())) as pdf:
        pdf.pages[0].Resources = pikepdf.Dictionary(Font=1)
        pdf.save(tmp_path / "fonts.pdf")
    (tmp_path / "good.pdf").write_bytes(three_pages())
    names = ("fonts.pdf", "good.pdf")
    rows = [one for name in names for one in lines(str(tmp_path / name), ["word"])]
    found = convert(read_at(tmp_path / "r", rows), tmp_path / "out")
    assert found.errors == {"undecodable": 1}
    assert [path.name[:5] for path in (tmp_path / "out").glob("*.pdf")] == ["good-"]


@pytest.mark.parametrize("gone", [True, False])
def test_pages_of_a_file_that_can_t_be_had_are_one_problem(tmp_path: Path, gone: bool) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(three_pages())
    etag = file_at(str(file))["etag"]
    rows = [one | {"etag": etag} for n in (1, 2, 3) for one in lines(str(file), ["x"], n)]
    place, pages = read_at(tmp_path / "r", rows), DocumentsConfig(format=("pdf",), per="page")
    assert convert(place, tmp_path / "out", pages).written == 3
    made_before = list((tmp_path / "out").rglob("*.pdf"))
    for path in made_before[:2]:
        os.utime(path, (1, 1))
    file.unlink() if gone else file.write_bytes(b"%PDF-")
    found = convert(place, tmp_path / "out", pages)
    assert found.errors == {"not_found" if gone else "changed": 1}
    assert (found.written, found.kept) == (0, 1)
    assert list((tmp_path / "out").rglob("*.pdf")) == made_before[2:]


@pytest.mark.parametrize("etag", ["", "v7", "3-2", "d41d8cd98f00b204e9800998ecf8427e"])
def test_a_version_that_no_listing_gives_is_not_compared(tmp_path: Path, etag: str) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(picture())
    place = read_at(tmp_path / "r", as_listed(str(file), etag=etag))
    found = convert(place, tmp_path / "out")
    assert (found.written, found.errors) == (1, {})


def test_versions_of_a_bucket_come_with_the_one_request_for_the_file(
    tmp_path: Path, new_bucket: Callable[[], str], s3_endpoint: str
) -> None:
    with faulty(s3_endpoint) as (address, met):
        options = f"?endpoint_override={address.removeprefix('http://')}&scheme=http"
        folder = f"{new_bucket()}/in"
        names = ("same.jpg", "changed.jpg", "alone.jpg", "own.jpg")
        uris = [f"{folder}/{name}{options}" for name in names]
        for uri in uris:
            storage.write_bytes(uri, picture())
        listed = {file["uri"]: file["etag"] for file in files_at(folder + options)}
        etags = [listed[uris[0]], listed[uris[1]], file_at(uris[2])["etag"], "version 4"]
        rows = [
            one | {"etag": etag}
            for uri, etag in zip(uris, etags, strict=True)
            for one in lines(uri, ["word"])
        ]
        for uri in uris[1::2]:
            storage.write_bytes(uri, picture("PNG"))
        place = read_at(tmp_path / "r", rows)
        met.clear()
        found = convert(place, tmp_path / "out")
    assert met == {"GET": 4}
    assert (found.written, found.errors) == (3, {"changed": 1})
    assert [problem.uri for problem in found.examples] == [uris[1]]


def test_results_without_their_ledger_have_no_resolution(tmp_path: Path) -> None:
    place = results(tmp_path / "r", lines("/a.jpg"))
    with pytest.raises(DataError, match=r"no .*recipe\.json, which says how they were drawn"):
        convert(place, tmp_path / "out")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    made(tmp_path, "a.jpg", picture(), lines)
    (first,) = (tmp_path / "out").glob("*.pdf")
    convert(str(tmp_path / "r"), tmp_path / "again")
    (second,) = (tmp_path / "again").glob("*.pdf")
    assert first.read_bytes() == second.read_bytes()
