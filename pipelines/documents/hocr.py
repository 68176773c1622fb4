"""Documents as hOCR 1.2: XHTML with the place and the confidence of each line and word."""

from __future__ import annotations

from crnn.files import storage
from pipelines.documents.elements import Elements
from pipelines.documents.page import Box, Line, Page, Sheets, box_of

_META = {
    "ocr-system": "crnn-on-ray",
    "ocr-capabilities": "ocr_page ocr_line ocrx_word ocrp_wconf",
}


def write_hocr(sheets: Sheets) -> None:
    """An ``ocr_page`` for each page, in it ``ocr_line`` and ``ocrx_word``."""
    xml, source = Elements(sheets.file), storage.split_options(sheets.uri)[0]
    with xml.within("html", {"xmlns": "http://www.w3.org/1999/xhtml"}):
        with xml.within("head"):
            xml.leaf("title", text=storage.base_name(sheets.uri))
            content = {"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"}
            xml.leaf("meta", content)
            for name, value in _META.items():
                xml.leaf("meta", {"name": name, "content": value})
        with xml.within("body"):
            for page in sheets.pages:
                _page(xml, page, source)


def _page(xml: Elements, page: Page, source: str) -> None:
    width, height = page.size
    image = source.replace('"', "%22")  # which would end it
    title = f'image "{image}"; bbox 0 0 {width} {height}; ppageno {page.number - 1}'
    with xml.within("div", {"class": "ocr_page", "id": f"page_{page.number}", "title": title}):
        xml.new_line()
        for line in page.lines:
            _line(xml, line, f"{page.number}_{line.number}")
    xml.new_line()


def _line(xml: Elements, line: Line, name: str) -> None:
    about = {"class": "ocr_line", "id": f"line_{name}", "title": _title(line.box, line.confidence)}
    with xml.within("span", about):
        for number, word in enumerate(line.words, start=1):
            if number > 1:
                xml.text(" ")
            title = _title(box_of(word.region), word.confidence)
            known = {"class": "ocrx_word", "id": f"word_{name}_{number}", "title": title}
            with xml.within("span", known):
                xml.text(word.text)
    xml.new_line()


def _title(box: Box, confidence: float) -> str:
    left, top, width, height = box
    return f"bbox {left} {top} {left + width} {top + height}; x_wconf {round(100 * confidence)}"
