"""Documents as searchable PDFs: the pages as they are, with their text, unseen, in its place.

Pages of PDFs are kept and JPEGs embedded as they are; other pictures are embedded without loss.
``pikepdf`` reads and writes the files. A page's geometry is PDFium's, which drew it for reading.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from ctypes import c_double
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from crnn.errors import PictureError
from crnn.images.contract import StatedSize, decode_picture, stated_size
from crnn.pages.opening import page_first
from crnn.pages.page import POINTS_PER_INCH, is_pdf
from crnn.text.order import visual
from pipelines.documents.page import Line, Page
from pipelines.documents.unseen_font import Codes
from pipelines.documents.words import Word

LEAST_PT, MOST_PT = 3.0, 14_400.0
"""Limits of a page's sides in PDF."""
_INVISIBLE = 3
_FAR = 1 << 20
"""Whole numbers to which PDFium's coordinates are scaled."""
_EXIF_ORIENTATION = 0x0112
_PLACED = {
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}
"""How a picture of each EXIF orientation is laid on the unit square."""


class Mapping(NamedTuple):
    """Px of the upright page → points of the PDF's page: three of its corners."""

    top_left: tuple[float, float]
    across: tuple[float, float]
    """What a px to the right is."""
    down: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The point of a px."""
        return (
            self.top_left[0] + x * self.across[0] + y * self.down[0],
            self.top_left[1] + x * self.across[1] + y * self.down[1],
        )


def searchable_pdf(data: bytes, pages: Sequence[Page], dpi: int, *, whole: bool) -> bytes:
    """A PDF of these pages of a file.

    Args:
        data: the file that was read.
        pages: their lines.
        dpi: at which the pages of a PDF were drawn for reading.
        whole: whether a PDF keeps its other pages, too.

    Raises:
        PictureError: ``undecodable``, ``encrypted`` or ``no_such_page``, as when it was read;
            ``no_pdf_reader`` where the packages of the extra ``pages`` aren't installed.
    """
    pikepdf, pdfium = packages()
    if not is_pdf(data):
        return _saved(_of_pictures(pikepdf, data, pages, dpi))
    try:
        return _saved(_of_pdf(pikepdf, pdfium, data, pages, dpi, whole=whole))
    except PictureError:
        raise
    except pikepdf.PasswordError as error:
        raise PictureError("encrypted", f"the PDF wants a password: {error}") from error
    except Exception as error:  # pikepdf and QPDF meet damage with almost anything
        raise PictureError("undecodable", f"not a PDF that can be changed: {error}") from error


def _saved(pdf: Any) -> bytes:
    file = io.BytesIO()
    with pdf:
        pdf.save(file, deterministic_id=True)
    return file.getvalue()


def _of_pdf(
    pikepdf: Any, pdfium: Any, data: bytes, pages: Sequence[Page], dpi: int, *, whole: bool
) -> Any:
    source = pikepdf.open(io.BytesIO(data))
    pdf = source if whole else pikepdf.new()
    codes = Codes(pikepdf, pdf)
    with pdfium.PdfDocument(data) as drawn:
        for page in pages:
            if page.number > min(len(source.pages), len(drawn)):
                raise PictureError("no_such_page", f"page {page.number} isn't in the PDF any more")
            if not whole:
                pdf.pages.append(source.pages[page.number - 1])
            target = pdf.pages[page.number - 1] if whole else pdf.pages[-1]
            if page.lines:
                mapping = _geometry(pdfium, drawn[page.number - 1], dpi)
                font = _named(pikepdf, target, codes.font, pikepdf.Name.Font)
                text = _text(pikepdf, page.lines, mapping, codes, font)
                target.contents_add(b"q\n", prepend=True)  # what it leaves behind isn't ours
                target.contents_add(b"\nQ\n" + text)
    codes.finish()
    return pdf


def _named(pikepdf: Any, page: Any, resource: Any, kind: Any) -> Any:
    """The name of a resource in a page that gets it, the same at each run."""
    kinds = page.resources.as_dict().values()  # the same name in another of them is replaced
    taken = {name for one in kinds if isinstance(one, pikepdf.Dictionary) for name in one}
    free = next(name for name in (f"/Unseen{number}" for number in count()) if name not in taken)
    return page.add_resource(resource, kind, name=pikepdf.Name(free))


def _geometry(pdfium: Any, page: Any, dpi: int) -> Mapping:
    """As PDFium draws it: what it crops, turned as the page says."""
    raw = pdfium.raw
    width, height = (side * dpi / POINTS_PER_INCH for side in page.get_size())

    def point(x: int, y: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        found = c_double(), c_double()
        raw.FPDF_DeviceToPage(page, 0, 0, _FAR, _FAR, 0, x, y, *found)
        return np.array([value.value for value in found])

    corner = point(0, 0)
    across, down = (point(_FAR, 0) - corner) / width, (point(0, _FAR) - corner) / height
    return Mapping(tuple(corner.tolist()), tuple(across.tolist()), tuple(down.tolist()))


def _of_pictures(pikepdf: Any, data: bytes, pages: Sequence[Page], dpi: int) -> Any:
    pdf = pikepdf.new()
    codes = Codes(pikepdf, pdf)
    for page in pages:
        size, picture, orientation = _picture(pikepdf, pdf, data, page.number - 1)
        width, height = _size_pt(size, dpi)
        target = pdf.add_blank_page(page_size=(width, height))
        mapping = Mapping((0.0, height), (width / size.width, 0.0), (0.0, -height / size.height))
        name = _named(pikepdf, target, picture, pikepdf.Name.XObject)
        a, b, c, d, e, f = _PLACED[orientation]
        matrix = (a * width, b * height, c * width, d * height, e * width, f * height)
        drawn = pikepdf.canvas.ContentStreamBuilder().push().cm(pikepdf.Matrix(*matrix))
        content = drawn.draw_xobject(name).pop().build()
        if page.lines:
            font = _named(pikepdf, target, codes.font, pikepdf.Name.Font)
            content += b"\n" + _text(pikepdf, page.lines, mapping, codes, font)
        target.Contents = pdf.make_stream(content)
    codes.finish()
    return pdf


def _size_pt(size: StatedSize, dpi: int) -> tuple[float, float]:
    """By the resolution that the picture states, within what a page of a PDF may be; where a side
    is 4,800 times the other, not to scale."""
    per_px = POINTS_PER_INCH / (size.dpi[0] if size.dpi else dpi)
    longest, shortest = max(size.width, size.height), min(size.width, size.height)
    per_px = max(min(per_px, MOST_PT / longest), LEAST_PT / shortest)
    width, height = (
        min(max(side * per_px, LEAST_PT), MOST_PT) for side in (size.width, size.height)
    )
    return width, height


def _picture(pikepdf: Any, pdf: Any, data: bytes, frame: int) -> tuple[StatedSize, Any, int]:
    """Upright size, image and EXIF orientation: a plain JPEG's own bytes, else its pixels."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            is_plain = frame == 0 and image.format == "JPEG" and image.mode in ("L", "RGB")
            size, mode = image.size, image.mode
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # no JPEG, or Pillow meets damage with almost anything
        is_plain = False
    if is_plain and orientation in _PLACED:
        stream = _image(pikepdf, pdf, data, mode, size)
        stream.Filter = pikepdf.Name.DCTDecode
        return stated_size(io.BytesIO(data)), stream, orientation
    data = page_first(data, frame)
    upright = decode_picture(data)
    stated = stated_size(io.BytesIO(data))
    png = io.BytesIO()
    upright.save(png, "PNG")
    stream = _image(pikepdf, pdf, _deflated(png.getvalue()), upright.mode, upright.size)
    stream.Filter = pikepdf.Name.FlateDecode
    stream.DecodeParms = pikepdf.Dictionary(
        Predictor=15, Colors=len(upright.getbands()), BitsPerComponent=8, Columns=upright.width
    )
    return StatedSize(upright.width, upright.height, stated.dpi), stream, 1


def _image(pikepdf: Any, pdf: Any, data: bytes, mode: str, size: tuple[int, int]) -> Any:
    stream = pdf.make_stream(data)
    stream.Type, stream.Subtype = pikepdf.Name.XObject, pikepdf.Name.Image
    stream.Width, stream.Height = size
    stream.BitsPerComponent = 8
    stream.ColorSpace = pikepdf.Name.DeviceGray if mode == "L" else pikepdf.Name.DeviceRGB
    return stream


def _deflated(png: bytes) -> bytes:
    """The pixels of a PNG as they are packed in it, which PDFs pack in the same way."""
    found, place = [], 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        if png[place + 4 : place + 8] == b"IDAT":
            found.append(png[place + 8 : place + 8 + length])
        place += length + 12
    return b"".join(found)


def _text(pikepdf: Any, lines: Sequence[Line], mapping: Mapping, codes: Codes, font: Any) -> bytes:
    """Operators that lay each word over its place, spaces between those of a line."""
    content = pikepdf.canvas.ContentStreamBuilder().push().begin_text()
    content.set_text_rendering(_INVISIBLE).set_text_font(font, 1)
    for line in lines:
        words = sorted(line.words, key=lambda word: _along(line, word))
        for number, word in enumerate(words):
            text = visual(word.text, "auto", {}).text + (" " if number + 1 < len(words) else "")
            matrix = _matrix(word, mapping, len(text.rstrip(" ")))
            if matrix is not None:
                content.set_text_matrix(pikepdf.Matrix(*matrix)).show_text(codes.of(text))
    return bytes(content.end_text().pop().build())


def _along(line: Line, word: Word) -> float:
    """How far from the line's first corner the word begins, along the side that the text is on."""
    first = np.array(line.region[:2])
    begin, end = np.array(word.region[:2]), np.array(word.region[2:4])
    return float((begin - first) @ (end - begin))


def _matrix(word: Word, mapping: Mapping, length: int) -> tuple[float, ...] | None:
    """Text space, a character half as wide as it is high → the word's place; None without one."""
    corners = [mapping.at(*word.region[place : place + 2]) for place in (0, 4, 6)]
    top, right, origin = (np.array(corner) for corner in corners)
    along, up = (right - origin) / max(1, length) * 2, top - origin
    if not (along.any() and up.any()):
        return None
    return (*along.tolist(), *up.tolist(), *origin.tolist())


def packages() -> tuple[Any, Any]:
    """pikepdf and pypdfium2; PictureError ``no_pdf_reader`` where one isn't installed."""
    try:
        import pikepdf
        import pikepdf.canvas
        import pypdfium2
    except ImportError as error:
        raise PictureError(
            "no_pdf_reader",
            f"PDFs need a package that isn't there ({error}); run: pip install "
            "'crnn-on-ray[pages]'",
        ) from error
    return pikepdf, pypdfium2
