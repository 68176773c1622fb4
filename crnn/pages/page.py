"""One page of a file: which one is wanted, and its pixels. Needs neither torch nor a decoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crnn.pages.tiff import is_tiff

DPI = 200
"""Resolution at which a page of a PDF is drawn, unless said otherwise."""
LEAST_DPI, MOST_DPI = 18, 1200
"""Bounds of it."""
LONGEST_PX = 960
"""Longest side of a page as the detector sees it, unless said otherwise."""
MOST_PAGES = 2_000
"""Limit of a file's pages, unless said otherwise."""
COUNT = -1
"""Number of no page: how many there are is asked for, without pixels."""
POINTS_PER_INCH = 72
_PDF, _PDF_WITHIN = b"%PDF-", 1024


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """Which page of a file is wanted, and how."""

    number: int = 0
    """From 0 on, or ``COUNT``."""
    dpi: int = DPI
    """Dots per inch at which a PDF is drawn; other files have their own pixels."""
    most_pages: int = MOST_PAGES
    """A file with more is refused, ``too_many_pages``."""

    def __post_init__(self) -> None:
        if self.number < COUNT:
            raise ValueError(f"number is {self.number}; expected a page from 0 on, or {COUNT}")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise ValueError(f"dpi is {self.dpi}; expected {LEAST_DPI} to {MOST_DPI} dots per inch")
        if not 1 <= self.most_pages < 1 << 31:
            raise ValueError(f"most_pages is {self.most_pages}; expected at least 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class PageImage:
    """A page's pixels."""

    pixels: NDArray[np.uint8]
    """``HWC``, RGB, upright as the file says; without any (0, 0, 3) where ``COUNT`` was asked."""
    count: int
    """Pages that its file has."""


def is_pdf(data: bytes) -> bool:
    """Whether a file's bytes begin as a PDF's do; some programs put other bytes before."""
    return _PDF in data[:_PDF_WITHIN]


def may_have_pages(data: bytes) -> bool:
    """Whether a file may have more than one page: a PDF or a TIFF. Of an animation the first
    picture is read."""
    return is_pdf(data) or is_tiff(data)
