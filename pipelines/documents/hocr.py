"""Documents as hOCR 1.2: XHTML with the place and the confidence of each line."""

from __future__ import annotations

from crnn import storage
from pipelines.documents.elements import Elements
from pipelines.documents.page import Line, Page, Sheets

_META = {
    "ocr-system": "crnn-on-ray",
    "ocr-capabilities": "ocr_page ocr_line ocrp_wconf",
}


def write_hocr(sheets: Sheets) -> None:
    """An ``ocr_page`` for each page, with an ``ocr_line`` for each line."""
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
            _line(xml, line, f"line_{page.number}_{line.number}")
    xml.new_line()


def _line(xml: Elements, line: Line, name: str) -> None:
    left, top, width, height = line.box
    box = f"bbox {left} {top} {left + width} {top + height}"
    title = f"{box}; x_wconf {round(100 * line.confidence)}"
    xml.leaf("span", {"class": "ocr_line", "id": name, "title": title}, line.text)
