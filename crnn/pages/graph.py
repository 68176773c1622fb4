"""The detector's ONNX graph: out of a package that the user's own pip fetched, or a file."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from crnn.errors import DataError

PACKAGE = "rapidocr"
"""Its wheel carries PP-OCRv6's detector of PaddleOCR (a DBNet), under Apache-2.0."""
_GRAPH = "rapidocr/models/PP-OCRv6_det_small.onnx"


def detector_graph(source: str = PACKAGE) -> bytes:
    """The graph of the installed package ``rapidocr``, or of an ONNX file of the DB family.

    Raises:
        DataError: when it isn't there; the message has the command that installs it.
    """
    if source == PACKAGE:
        return _installed()
    from crnn.files import storage

    try:
        return storage.read_bytes(source)
    except FileNotFoundError:
        raise DataError(
            f"there is no detector at {source!r}; expected an ONNX file of the DB family, or the "
            f"name of the package {PACKAGE!r}"
        ) from None


def _installed() -> bytes:
    try:
        there = distribution(PACKAGE)
    except PackageNotFoundError:
        raise DataError(
            f"the package {PACKAGE!r}, whose detector finds the text of pages, isn't installed; "
            "run: pip install 'crnn-on-ray[pages]', or name an ONNX file with --detector"
        ) from None
    file = Path(str(there.locate_file(_GRAPH)))
    if not file.is_file():
        raise DataError(
            f"{PACKAGE} {there.version} has no {_GRAPH}; run: pip install 'rapidocr>=3.10', or "
            "name an ONNX file with --detector"
        )
    return file.read_bytes()
