"""Documents as ALTO 4: the XML in which libraries keep the text of pages.

The results know no blocks, so a page has one ``TextBlock``; and not how large a page is, so it has
no ``WIDTH`` and ``HEIGHT``, and its ``PrintSpace`` is where there is text.
"""

from __future__ import annotations

from crnn.files import storage
from pipelines.documents.elements import Attributes, Elements
from pipelines.documents.page import Box, Line, Page, Sheets, box_of

_NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_PLACE = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
_ROOT = {
    "xmlns": _NAMESPACE,
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": f"{_NAMESPACE} {_PLACE}",
    "SCHEMAVERSION": "4.4",
}


def write_alto(sheets: Sheets) -> None:
    """A ``Page`` for each page, in it a ``TextLine`` for each line, a ``String`` for each word."""
    xml = Elements(sheets.file)
    with xml.within("alto", _ROOT):
        with xml.within("Description"):
            xml.leaf("MeasurementUnit", text="pixel")
            with xml.within("sourceImageInformation"):
                xml.leaf("fileName", text=storage.split_options(sheets.uri)[0])
        with xml.within("Layout"):
            for page in sheets.pages:
                _page(xml, page)


def _page(xml: Elements, page: Page) -> None:
    number = page.number
    about: dict[str, object] = {"ID": f"page_{number}", "PHYSICAL_IMG_NR": number}
    if page.whole is not None:
        about["WIDTH"], about["HEIGHT"] = page.whole
    if page.confidence is not None:
        about["PC"] = f"{page.confidence:.4f}"
    with xml.within("Page", about):
        if not page.lines:
            xml.leaf("PrintSpace")
            return
        space = _place(_around(page))
        block = {"ID": f"block_{number}", **space}
        with xml.within("PrintSpace", space), xml.within("TextBlock", block):
            xml.new_line()
            for line in page.lines:
                _line(xml, line, f"{number}_{line.number}")


def _around(page: Page) -> Box:
    boxes = [line.box for line in page.lines]
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right = max(box.left + box.width for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


def _line(xml: Elements, line: Line, name: str) -> None:
    place = _place(line.box)
    with xml.within("TextLine", {"ID": f"line_{name}", **place}):
        points = " ".join(f"{max(0.0, value):.1f}" for value in line.region)
        with xml.within("Shape"):
            xml.leaf("Polygon", {"POINTS": points})
        if not line.words:  # nothing but spaces
            xml.leaf("String", {"CONTENT": line.text})
        for number, word in enumerate(line.words, start=1):
            if number > 1:
                xml.leaf("SP")
            about = {"WC": f"{word.confidence:.4f}", "CONTENT": word.text}
            place = _place(box_of(word.region))
            xml.leaf("String", {"ID": f"string_{name}_{number}", **place, **about})


def _place(box: Box) -> Attributes:
    return {"HPOS": box.left, "VPOS": box.top, "WIDTH": box.width, "HEIGHT": box.height}
