"""Whole pages: a page's pixels → regions of text in reading order → lines.

``opening`` (a file's page → pixels) → ``detector`` (regions with scores; ``db`` is the one there
is, ``graph`` finds its ONNX file) → ``turning`` (which way up the page lies) → ``order`` (columns,
then lines) → ``lines`` (the regions cut out and read as any crop is). ``stream`` opens the pages
of many files in decoding processes, ahead of whoever reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from crnn.pages.db import DbDetector
    from crnn.pages.detector import Detector, Found
    from crnn.pages.graph import detector_graph
    from crnn.pages.lines import Line
    from crnn.pages.page import PageImage, PageRequest

__all__ = ["DbDetector", "Detector", "Found", "Line", "PageImage", "PageRequest", "detector_graph"]

__getattr__ = names_of(__name__, __all__, "page", "detector", "db", "graph", "lines")
