"""Documents as ALTO 4: the XML in which libraries keep the text of pages.

The results know lines, but neither words nor blocks: a ``String`` is a whole line, and a page has
one ``TextBlock``.
"""

from __future__ import annotations

from crnn import storage
from pipelines.documents.elements import Attributes, Elements
from pipelines.documents.page import Box, Line, Page, Sheets

_NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_PLACE = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
_ROOT = {
    "xmlns": _NAMESPACE,
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": f"{_NAMESPACE} {_PLACE}",
    "SCHEMAVERSION": "4.4",
}


def write_alto(sheets: Sheets) -> None:
    """A ``Page`` for each page, with a ``TextLine`` for each line."""
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
    number, (width, height) = page.number, page.size
    about: dict[str, object] = {
        "ID": f"page_{number}",
        "PHYSICAL_IMG_NR": number,
        "HEIGHT": height,
        "WIDTH": width,
    }
    if page.confidence is not None:
        about["PC"] = f"{page.confidence:.4f}"
    space = _place(Box(0, 0, width, height))
    with xml.within("Page", about):
        if not page.lines:
            xml.leaf("PrintSpace", space)
            return
        with xml.within("PrintSpace", space), xml.within("TextBlock", _block(page)):
            xml.new_line()
            for line in page.lines:
                _line(xml, line, f"{number}_{line.number}")


def _block(page: Page) -> Attributes:
    boxes = [line.box for line in page.lines]
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    width, height = page.size
    place = _place(Box(left, top, width - left, height - top))
    return {"ID": f"block_{page.number}", **place}


def _line(xml: Elements, line: Line, name: str) -> None:
    place = _place(line.box)
    with xml.within("TextLine", {"ID": f"line_{name}", **place}):
        points = " ".join(f"{max(0.0, value):.1f}" for value in line.region)
        with xml.within("Shape"):
            xml.leaf("Polygon", {"POINTS": points})
        about = {"WC": f"{line.confidence:.4f}", "CONTENT": line.text}
        xml.leaf("String", {"ID": f"string_{name}", **place, **about})


def _place(box: Box) -> Attributes:
    return {"HPOS": box.left, "VPOS": box.top, "WIDTH": box.width, "HEIGHT": box.height}
