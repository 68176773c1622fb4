"""Rows of whole pages become documents: in reading order, each in its place, once."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.documents.alto import write_alto
from pipelines.documents.config import DocumentsConfig
from pipelines.documents.forms import Writer
from pipelines.documents.hocr import write_hocr
from pipelines.documents.page import Document, Sheets
from pipelines.documents.plain import write_json, write_txt
from pipelines.documents.rows import document_of, documents_in
from pipelines.documents.write import Written, write_documents
from pipelines.recognition.finished import read_groups
from pipelines.recognition.rows import PAGE_SCHEMA
from tests.pipelines.test_review import MODEL
from tests.pipelines.test_review import results as results_of_crops
from tests.pipelines.test_review import row as crop

ALL = DocumentsConfig(format=("txt", "json", "hocr", "alto"))
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
XHTML = "{http://www.w3.org/1999/xhtml}"
NASTY = 'a < b & "c" ]]> \u0007'
TOLD = NASTY.replace("\u0007", "\ufffd")
"""A bell can't be in XML."""


def row(uri: str, page: int | None, line: int | None, text: str | None, **more: Any) -> dict:
    """A row as the job writes it; lines lie 40 px apart."""
    top = 40.0 * (line or 0)
    region = [10.0, top, 210.5, top, 210.5, top + 30, 10.0, top + 30]
    found: dict[str, Any] = dict.fromkeys(PAGE_SCHEMA.names)
    found |= {"uri": uri, "etag": "v1", "page": page, "line": line, "text": text, "model": MODEL}
    if line is not None:
        found |= {"region": region, "confidence": 0.75}
    return found | more


def failed(uri: str, page: int | None, code: str, line: int | None = None) -> dict:
    more = {"error_code": code, "error_message": f"{code}!", "confidence": None}
    return row(uri, page, line, None, **more)


def results(out: Path | str, *parts: Sequence[dict], row_group: int = 3) -> str:
    """A finished output folder of jobs/recognize.py --pages; its address.

    On this machine it is a while old, as a coarse clock can't tell what was written just now.
    """
    for number, rows in enumerate(parts):
        address = storage.join(str(out), f"model={MODEL[:16]}", f"part-00000-{number:05d}.parquet")
        table = pa.Table.from_pylist(list(rows), schema=PAGE_SCHEMA)
        with storage.replacing(address) as path:
            pq.write_table(table, path, row_group_size=row_group)
        if storage.is_local(address):
            os.utime(address, (time.time() - 9, time.time() - 9))
    report = json.dumps({"model": {"digest": MODEL}}).encode()
    storage.write_bytes(storage.join(str(out), "_report.json"), report)
    return str(out)


def book(uri: str = "/in/book.pdf") -> list[dict]:
    """Two pages with text, one without, one that can't be opened, one line that can't be read."""
    return [
        row(uri, 1, 1, "first"),
        row(uri, 1, 2, NASTY),
        failed(uri, 1, "bad_region", line=3),
        row(uri, 2, None, ""),
        failed(uri, 3, "undecodable"),
        row(uri, 4, 1, "last", confidence=0.5),
        row(uri, 4, 2, "", confidence=0.0),
    ]


def document() -> Document:
    return document_of("/in/book.pdf", book())


def text_of(writer: Writer, found: Document) -> str:
    file = io.StringIO()
    writer(Sheets(found.uri, found.pages, file))
    return file.getvalue()


def parsed(writer: Writer, found: Document) -> ElementTree.Element:
    return ElementTree.fromstring(text_of(writer, found).encode())


def files(out: Path | str) -> dict[str, str]:
    """What lies in an output folder: contents by name, without the folder's mark."""
    base = f"{storage.split_options(str(out))[0]}/"
    found = [info.uri for info in storage.list_files(str(out), recursive=True)]
    texts = {uri.removeprefix(base): storage.read_bytes(uri).decode() for uri in found}
    return {name: text for name, text in texts.items() if name != "_documents.json"}


def convert(place: str, out: Path | str, config: DocumentsConfig = ALL) -> Written:
    return write_documents(place, str(out), config)


# ---------------------------------------------------------------- rows


def test_rows_in_any_order_give_pages_and_lines_in_order() -> None:
    found = document_of("/in/book.pdf", reversed(book()))
    assert found.pages == document().pages
    assert [page.number for page in found.pages] == [1, 2, 4]
    assert [[line.text for line in page.lines] for page in found.pages] == [
        ["first", NASTY], [], ["last"],
    ]  # fmt: skip
    told = [(problem.page, problem.line, problem.code) for problem in document().problems]
    assert told == [(1, 3, "bad_region"), (3, None, "undecodable")]


def test_files_are_read_across_row_groups(tmp_path: Path) -> None:
    place = results(tmp_path, [*book("/b.pdf"), row("/a.png", 1, 1, "a"), *book("/c.pdf")])
    (part,) = Path(place).glob("model=*/*.parquet")
    assert [len(table) for table in read_groups(str(part), ["uri"])] == [3, 3, 3, 3, 3]
    found = list(documents_in(str(part)))
    assert [one.uri for one in found] == ["/b.pdf", "/a.png", "/c.pdf"]
    assert [len(one.pages) for one in found] == [3, 1, 3]


# ---------------------------------------------------------------- forms


def test_txt_has_an_empty_line_between_pages() -> None:
    assert text_of(write_txt, document()) == f"first\n{NASTY}\n\nlast\n"


def test_json_has_an_object_a_page() -> None:
    found = json.loads(text_of(write_json, document()))
    assert found["uri"] == "/in/book.pdf"
    first, blank, last = found["pages"]
    assert (first["page"], first["width"], first["height"]) == (1, 211, 110)
    assert (first["confidence"], last["confidence"]) == (0.75, 0.5)
    assert first["lines"][1]["text"] == NASTY
    assert first["lines"][0]["region"] == [10, 40, 210.5, 40, 210.5, 70, 10, 70]
    assert blank == {"page": 2, "width": 0, "height": 0, "confidence": None, "lines": []}


def test_hocr_has_the_places_of_lines() -> None:
    root = parsed(write_hocr, document())
    pages = root.findall(f".//{XHTML}div[@class='ocr_page']")
    assert [page.get("title") for page in pages] == [
        'image "/in/book.pdf"; bbox 0 0 211 110; ppageno 0',
        'image "/in/book.pdf"; bbox 0 0 0 0; ppageno 1',
        'image "/in/book.pdf"; bbox 0 0 211 70; ppageno 3',
    ]
    lines = pages[0].findall(f"{XHTML}span[@class='ocr_line']")
    assert ["".join(line.itertext()) for line in lines] == ["first", TOLD]
    assert lines[0].get("title") == "bbox 10 40 211 70; x_wconf 75"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) == 15


def test_a_quote_doesn_t_end_the_name_of_a_picture() -> None:
    found = document_of('/in/"; bbox 9 9 9 9.png', [row("", 1, 1, "a")])
    (page,) = parsed(write_hocr, found).findall(f".//{XHTML}div")
    assert page.get("title", "").startswith('image "/in/%22; bbox 9 9 9 9.png"; bbox 0 0 211')


def test_alto_has_lines_with_strings() -> None:
    root = parsed(write_alto, document())
    assert root.findtext(f".//{ALTO}fileName") == "/in/book.pdf"
    pages = root.findall(f"{ALTO}Layout/{ALTO}Page")
    assert [page.get("PHYSICAL_IMG_NR") for page in pages] == ["1", "2", "4"]
    assert [len(page.findall(f".//{ALTO}TextLine")) for page in pages] == [2, 0, 1]
    block = pages[0].find(f"{ALTO}PrintSpace/{ALTO}TextBlock")
    assert block is not None
    assert _place(block) == ("10", "40", "201", "70")
    line = block.find(f"{ALTO}TextLine")
    assert line is not None
    points = line.find(f"{ALTO}Shape/{ALTO}Polygon")
    assert points is not None
    assert points.get("POINTS") == "10.0 40.0 210.5 40.0 210.5 70.0 10.0 70.0"
    strings = block.findall(f"{ALTO}TextLine/{ALTO}String")
    assert [string.get("CONTENT") for string in strings] == ["first", *TOLD.split()]
    assert strings[0].get("WC") == "0.7500"
    assert _place(strings[0]) == _place(line) == ("10", "40", "201", "30")


def _place(element: ElementTree.Element) -> tuple[str | None, ...]:
    return tuple(element.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))


def test_a_tilted_line_that_juts_out_stays_on_the_page() -> None:
    region = [-3.0, 2.0, 50.0, -1.0, 52.0, 20.0, -1.0, 24.0]
    (page,) = document_of("/a.png", [row("/a.png", 1, 1, "x", region=region)]).pages
    assert page.lines[0].box == (0, 0, 52, 24)
    assert page.size == (52, 24)


# ---------------------------------------------------------------- places


def test_a_file_has_an_output_of_each_form(tmp_path: Path) -> None:
    place = results(tmp_path / "r", book(), [row("/in/other/book.pdf", 1, 1, "other")])
    found = convert(place, tmp_path / "out")
    texts = files(tmp_path / "out")
    assert (found.files, found.pages, found.written, found.kept) == (2, 4, 8, 0)
    assert found.errors == {"bad_region": 1, "undecodable": 1}
    suffixes = sorted(name.split(".", 1)[1] for name in texts)
    assert suffixes == [end for end in ("alto.xml", "hocr", "json", "txt") for _ in range(2)]
    assert all(name.startswith("book-") for name in texts)
    assert "other\n" in texts.values()


def test_a_page_has_an_output_of_its_own(tmp_path: Path) -> None:
    place = results(tmp_path / "r", book())
    convert(place, tmp_path / "out", DocumentsConfig(format=("txt", "alto"), per="page"))
    texts = files(tmp_path / "out")
    names = sorted(name.split("/")[1] for name in texts)
    assert names == [f"000{n}.{end}" for n in (1, 2, 4) for end in ("alto.xml", "txt")]
    assert [text for name, text in texts.items() if name.endswith("4.txt")] == ["last\n"]


@pytest.mark.parametrize("per", ["file", "page"])
def test_what_is_newer_stays_and_what_changed_is_written_again(tmp_path: Path, per: Any) -> None:
    config = DocumentsConfig(format=("txt",), per=per)
    out = tmp_path / "out"
    outputs = 3 if per == "page" else 1
    place = results(tmp_path / "r", book(), [row("/b.png", 1, 1, "b")])
    assert convert(place, out, config).written == outputs + 1
    again = convert(place, out, config)
    assert (again.written, again.kept) == (0, outputs + 1)
    results(tmp_path / "r", [row("/in/book.pdf", 1, 1, "new")])
    (changed, _) = sorted((tmp_path / "r").glob("model=*/*.parquet"))
    os.utime(changed, (time.time() + 9, time.time() + 9))
    found = convert(place, out, config)
    assert (found.written, found.kept) == (1, 1)
    assert sorted(files(out).values()) == ["b\n", "new\n"]  # no page of the old file


def test_a_file_that_can_t_be_opened_any_more_has_no_document(tmp_path: Path) -> None:
    place = results(tmp_path / "r", book())
    convert(place, tmp_path / "out")
    results(tmp_path / "r", [failed("/in/book.pdf", None, "encrypted")])
    (part,) = (tmp_path / "r").glob("model=*/*.parquet")
    os.utime(part, (4e9, 4e9))
    found = convert(place, tmp_path / "out")
    assert (found.files, found.pages, found.written) == (1, 0, 0)
    assert files(tmp_path / "out") == {}


@pytest.mark.parametrize("per", ["file", "page"])
def test_no_address_leads_out_of_the_folder(tmp_path: Path, per: Any) -> None:
    uris = [
        *("/in/..", "/in/../../x.png", "s3://b/..%2f..", "/in/a\\..\\b", "/x/\0.png", "/in/.txt"),
        *("/in/" + "long" * 90, "/in/日本", "/1/a.png", "/2/a.png", "/1/a.jpg", "/1/A.png"),
    ]
    place = results(tmp_path / "r", [row(uri, 1, 1, uri) for uri in uris])
    convert(place, tmp_path / "deep" / "out", DocumentsConfig(format=("txt",), per=per))
    assert len(files(tmp_path / "deep" / "out")) == len(uris)
    assert {path.name for path in tmp_path.iterdir()} == {"r", "deep"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_documents_of_other_results_stay(tmp_path: Path) -> None:
    convert(results(tmp_path / "a", book()), tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(DataError, match=r"settings: results: '.*/a/model=.*give another OUT"):
        convert(results(tmp_path / "b", [row("/in/book.pdf", 1, 1, "b")]), tmp_path / "out")
    assert files(tmp_path / "out") == before


def test_results_of_crops_and_unfinished_ones_are_refused(tmp_path: Path) -> None:
    crops = results_of_crops(tmp_path / "crops", [crop("/a.png")])
    with pytest.raises(DataError, match=r"has the results of crops.*--pages"):
        convert(crops, tmp_path / "out")
    place = results(tmp_path / "r", book())
    (tmp_path / "r" / "_report.json").unlink()
    with pytest.raises(DataError, match="unfinished"):
        convert(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_form_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="--format names none"):
        DocumentsConfig(format=())


def test_buckets(new_bucket: Callable[[], str]) -> None:
    bucket = new_bucket()
    place = results(f"{bucket}/r", *(book(f"s3://in/{n}.pdf") for n in range(3)))
    found = convert(place, f"{bucket}/out", DocumentsConfig(format=("txt", "alto"), per="page"))
    assert (found.files, found.written) == (3, 18)
    assert sum(text == "last\n" for text in files(f"{bucket}/out").values()) == 3
    again = convert(place, f"{bucket}/out", DocumentsConfig(format=("txt", "alto"), per="page"))
    assert again.written + again.kept == 18
    assert len(files(f"{bucket}/out")) == 18
