"""A file's bytes → the pixels of one of its pages: pictures, multi-page TIFFs and PDFs.

PDFs are drawn by PDFium (pypdfium2, the extra ``pages``), in a build without JavaScript. Jobs call
this in a decoding process (``crnn.images.sandbox.process``), with its bounds of memory and time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.errors import PictureError
from crnn.images.colours import in_colours
from crnn.images.contract import MAX_PIXELS, Pixels, decode_pixels
from crnn.pages.page import COUNT, POINTS_PER_INCH, PageImage, PageRequest, is_pdf
from crnn.pages.tiff import beginning_at, directories, is_tiff

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_NOTHING = np.zeros((0, 0, 3), dtype=np.uint8)


def open_page(data: bytes, request: PageRequest, *, max_pixels: int = MAX_PIXELS) -> PageImage:
    """The page that is asked for, or how many there are.

    Numbers of pages and pixels are checked before anything is drawn or decoded.

    Raises:
        PictureError: as ``decode_pixels``, and ``too_many_pages``, ``no_such_page``,
            ``encrypted`` (a PDF that wants a password), or ``no_pdf_reader`` where pypdfium2
            isn't installed.
    """
    if is_pdf(data):
        return _pdf_page(data, request, max_pixels)
    pages = _tiff_pages(data, request) if is_tiff(data) else [0]
    _check_number(len(pages), request)
    if request.number == COUNT:
        return PageImage(pixels=_NOTHING, count=len(pages))
    pixels = decode_pixels(page_first(data, request.number), max_pixels=max_pixels)
    return PageImage(pixels=in_colours(pixels, 3), count=len(pages))


def page_first(data: bytes, number: int) -> bytes:
    """A picture or TIFF with this page, from 0 on, as its first one: what decoders then read.

    Raises:
        PictureError: ``no_such_page``.
    """
    found = directories(data, number + 1) if number else [0]
    if number >= len(found):
        raise PictureError(
            "no_such_page", f"page {number + 1} is wanted of a file with {max(1, len(found))}"
        )
    return beginning_at(data, found[number]) if number else data


def _tiff_pages(data: bytes, request: PageRequest) -> list[int]:
    """Where its pages' directories lie, one more than are allowed at most."""
    found = directories(data, request.most_pages + 1)
    if not found or found[0] >= len(data):
        raise PictureError(
            "undecodable", f"not a readable picture: a TIFF of {len(data)} bytes without a page"
        )
    return found


def _check_number(count: int, request: PageRequest) -> None:
    if count > request.most_pages:
        raise PictureError(
            "too_many_pages",
            f"the file has more pages than the limit of {request.most_pages}; split it or allow "
            "more",
        )
    if request.number >= count:
        raise PictureError(
            "no_such_page", f"page {request.number + 1} is wanted of a file with {count}"
        )


def _pdf_page(data: bytes, request: PageRequest, max_pixels: int) -> PageImage:
    pdfium = _pdfium()
    try:
        with pdfium.PdfDocument(data) as document:
            document.init_forms()  # what was filled in is drawn; before pages are counted
            count = len(document)
            _check_number(count, request)
            if request.number == COUNT:
                return PageImage(pixels=_NOTHING, count=count)
            pixels = _drawn(document[request.number], request.dpi, max_pixels)
            return PageImage(pixels=pixels, count=count)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise PictureError(
                "encrypted", "the PDF wants a password; save it without one"
            ) from error
        raise PictureError("undecodable", f"not a readable PDF: {error}") from error


def _drawn(page: Any, dpi: int, max_pixels: int) -> Pixels:
    """RGB pixels of a page, white where nothing is drawn."""
    scale = dpi / POINTS_PER_INCH
    width, height = (side * scale for side in page.get_size())
    if not (width >= 1 and height >= 1):
        raise PictureError("empty_picture", f"the page is {width:.1f}x{height:.1f} px")
    if width * height > max_pixels:
        raise PictureError(
            "too_large",
            f"the page is {width:.0f}x{height:.0f} px at {dpi} dpi, over the limit of "
            f"{max_pixels} px; draw it at fewer dpi",
        )
    bitmap = page.render(scale=scale, rev_byteorder=True, limit_image_cache=True)
    pixels: Pixels = np.array(bitmap.to_numpy()[:, :, :3])
    bitmap.close()
    return pixels


def _pdfium() -> Any:
    try:
        import pypdfium2
    except ImportError as error:
        raise PictureError(
            "no_pdf_reader",
            f"PDFs need the package pypdfium2 ({error}); run: pip install 'crnn-on-ray[pages]'",
        ) from error
    return pypdfium2
