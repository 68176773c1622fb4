"""ALTO and PAGE XML → the pages in it: names of the picture, its size, lines with their places.

ALTO 2, 3 and 4 (https://www.loc.gov/standards/alto/), PAGE of 2013 to 2019
(https://github.com/PRImA-Research-Lab/PAGE-XML). Files may come from anywhere: nothing outside of
one is ever fetched, and none that declares entities is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from pipelines.sources.polygons import NUMBER, Points

MAX_XML_BYTES = 16 << 20
"""Limit of one file."""
PIXEL = "pixel"
PER_INCH = {"mm10": 254.0, "inch1200": 1200.0}
"""Units of ALTO besides pixels: how many of them an inch has."""
_ALTO = re.compile(r"http://www\.loc\.gov/standards/alto/ns-v[234]#")
_PAGE = re.compile(r"http://schema\.primaresearch\.org/PAGE/gts/pagecontent/201[3-9]-\d\d-\d\d")
_HEAD = re.compile(rb"<(?:[\w.-]+:)?(?:alto|PcGts)[\s>]")
_SOFT_HYPHEN = "\xad"
"""What many write for the hyphen that ends a line, and that can be seen in the picture."""


class NotReadError(ValueError):
    """A file that gives no page; ``reason`` is that of its reject."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TextLine(NamedTuple):
    """A line of a page."""

    id: str
    """As the file has it, else its number."""
    text: str
    """Empty where it has none."""
    points: Points
    """Outline in the unit of the page; empty where it has none."""
    baseline: Points = ()


class PageText(NamedTuple):
    """A page of a file."""

    number: int
    """From 1 on."""
    picture: str
    """The name of its picture, as written there; empty for none."""
    unit: str
    width: float
    """In that unit; 0 where it isn't said."""
    height: float
    lines: list[TextLine]


def looks_like_one(head: bytes) -> bool:
    """Whether a file that begins so seems to be ALTO or PAGE XML, of whatever version."""
    return _HEAD.search(head.replace(b"\0", b"")) is not None


def pages_in(data: bytes) -> list[PageText]:
    """The pages of a file.

    Raises:
        NotReadError: ``damaged_file`` or ``too_large``; ``unknown_format`` for other namespaces
            and units.
    """
    if len(data) > MAX_XML_BYTES:
        raise NotReadError("too_large", f"it has more than {MAX_XML_BYTES} bytes")
    root = _root(data)
    name = etree.QName(root)
    namespace = name.namespace or ""
    if name.localname == "alto" and _ALTO.fullmatch(namespace):
        return list(_alto_pages(root, f"{{{namespace}}}"))
    if name.localname == "PcGts" and _PAGE.fullmatch(namespace):
        return list(_page_pages(root, f"{{{namespace}}}"))
    raise NotReadError(
        "unknown_format",
        f"its root is {name.localname} of the namespace {namespace!r}; expected ALTO 2, 3 or 4 or "
        "PAGE of 2013 to 2019",
    )


def _root(data: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = None if _has_doctype(data) else etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise NotReadError("damaged_file", f"not readable as XML: {error}") from error
    if root is None or root.getroottree().docinfo.doctype:
        raise NotReadError(
            "damaged_file", "it declares a document type, which could define entities; remove it"
        )
    return root


def _has_doctype(data: bytes) -> bool:
    """Whether it declares one, in UTF-8, UTF-16 or UTF-32: the parser isn't even to look at it."""
    return b"<!DOCTYPE" in data.replace(b"\0", b"")


def _alto_pages(root: etree._Element, space: str) -> Iterator[PageText]:
    unit = _stripped(root.findtext(f"{space}Description/{space}MeasurementUnit")) or PIXEL
    if unit != PIXEL and unit not in PER_INCH:
        known = ", ".join((PIXEL, *PER_INCH))
        raise NotReadError("unknown_format", f"its unit is {unit!r}; expected one of {known}")
    source = f"{space}Description/{space}sourceImageInformation/{space}fileName"
    picture = _stripped(root.findtext(source))
    for number, page in enumerate(root.iter(f"{space}Page"), start=1):
        lines = [
            TextLine(
                line.get("ID") or str(place),
                _alto_text(line, space),
                _alto_outline(line, space),
                _points(line.get("BASELINE"), least=2),
            )
            for place, line in enumerate(page.iter(f"{space}TextLine"), start=1)
        ]
        yield PageText(number, picture, unit, _size(page, "WIDTH"), _size(page, "HEIGHT"), lines)


def _alto_text(line: etree._Element, space: str) -> str:
    """The line as it is written, with the hyphen at its end; words are as far apart as it says."""
    parts = list(line.iterchildren(f"{space}String", f"{space}SP", f"{space}HYP"))
    has_spaces = any(part.tag == f"{space}SP" for part in parts)
    text = ""
    for part in parts:
        content = part.get("CONTENT") or ""
        if part.tag == f"{space}SP":
            text += " "
        elif part.tag == f"{space}HYP":
            text += "-" if content in ("", _SOFT_HYPHEN) else content
        else:
            text += content if has_spaces or not text else f" {content}"
    return text.strip()


def _alto_outline(line: etree._Element, space: str) -> Points:
    polygon = line.find(f"{space}Shape/{space}Polygon")
    outline = () if polygon is None else _points(polygon.get("POINTS"), least=3)
    if outline:
        return outline
    left, top, width, height = (
        _number(line.get(name)) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")
    )
    if math.isnan(left + top) or not (width > 0 and height > 0):
        return ()
    right, bottom = left + width, top + height
    return (left, top, right, top, right, bottom, left, bottom)


def _page_pages(root: etree._Element, space: str) -> Iterator[PageText]:
    for number, page in enumerate(root.iter(f"{space}Page"), start=1):
        width, height = _size(page, "imageWidth"), _size(page, "imageHeight")
        lines = [
            TextLine(
                line.get("id") or str(place),
                _page_text(line, space),
                _child_points(line, f"{space}Coords", least=3),
                _child_points(line, f"{space}Baseline", least=2),
            )
            for place, line in enumerate(page.iter(f"{space}TextLine"), start=1)
        ]
        picture = _stripped(page.get("imageFilename"))
        yield PageText(number, picture, PIXEL, width, height, lines)


def _page_text(line: etree._Element, space: str) -> str:
    """What the line itself says, else its words."""
    whole = _equivalent(line, space)
    if whole:
        return whole
    words = (_equivalent(word, space) for word in line.iterchildren(f"{space}Word"))
    return " ".join(filter(None, words))


def _equivalent(element: etree._Element, space: str) -> str:
    """Its text; of several readings the one with the lowest index."""
    found = sorted(
        element.iterchildren(f"{space}TextEquiv"), key=lambda one: _number(one.get("index") or "-1")
    )
    return _stripped(found[0].findtext(f"{space}Unicode")) if found else ""


def _child_points(line: etree._Element, name: str, least: int) -> Points:
    child = line.find(name)
    return () if child is None else _points(child.get("points"), least)


def _points(text: str | None, least: int) -> Points:
    """``x,y x,y``, ``x y x y`` or whatever stands between; nothing where they aren't points."""
    values = tuple(float(number) for number in NUMBER.findall(text or ""))
    if len(values) % 2 or len(values) < 2 * least or not all(map(math.isfinite, values)):
        return ()
    return values


def _size(page: etree._Element, name: str) -> float:
    value = _number(page.get(name))
    return value if 0 < value < math.inf else 0.0


def _number(text: str | None) -> float:
    """A finite number, or NaN for anything else."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _stripped(text: str | None) -> str:
    return (text or "").strip()
