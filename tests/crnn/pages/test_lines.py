"""Drawn pages, found by the installed package's detector and read by the shipped bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn import Recognizer
from crnn.bundle.onnx_file import ONNX_FILE
from crnn.bundle.shipped import default_bundle
from crnn.errors import DataError, PictureError
from crnn.images.prepare import Picture
from crnn.pages import DbDetector, Line, detector_graph
from crnn.pages import graph as graph_module
from tests.crnn.pages.drawn import HEADING, LEFT, TEXT, in_file, turned, two_columns
from tests.crnn.poison import encoded


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


@pytest.fixture(scope="module")
def detector() -> DbDetector:
    return DbDetector(graph=detector_graph())


def squeezed(lines: list[Line]) -> list[str]:
    """The texts without their spaces, which a recognizer of words may miss."""
    return [line.text.replace(" ", "") for line in lines]


EXPECTED = [text.replace(" ", "") for text in TEXT]


@pytest.mark.parametrize("quarters", range(4))
def test_a_page_is_read_column_by_column_however_it_lies(
    recognizer: Recognizer, detector: DbDetector, quarters: int
) -> None:
    lines = recognizer.read_page(turned(two_columns(), quarters), detector=detector)
    assert squeezed(lines) == EXPECTED
    assert all(line.score > 0.5 and len(line.result.chars) == len(line.text) for line in lines)


def test_a_tilted_page_is_cut_out_straight(recognizer: Recognizer, detector: DbDetector) -> None:
    page = two_columns().rotate(6, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    lines = recognizer.read_page(page, detector=detector)
    assert squeezed(lines) == EXPECTED
    x0, y0, x1, y1, *_ = lines[0].region
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(-6, abs=1)


def test_the_same_page_in_any_form_has_the_same_lines(
    recognizer: Recognizer, detector: DbDetector, tmp_path: Path
) -> None:
    page = two_columns()
    (tmp_path / "page.png").write_bytes(encoded(page))
    forms: list[Picture] = [tmp_path / "page.png", encoded(page), np.asarray(page)]
    texts = {tuple(squeezed(recognizer.read_page(form, detector=detector))) for form in forms}
    assert texts == {tuple(EXPECTED)}


def test_a_page_of_a_document_is_read_by_its_number(
    recognizer: Recognizer, detector: DbDetector
) -> None:
    blank = Image.new("RGB", (300, 200), "white")
    document = in_file([blank, two_columns()], "PDF")
    assert recognizer.read_page(document, detector=detector) == []
    lines = recognizer.read_page(document, detector=detector, number=2, dpi=144, chars=False)
    assert squeezed(lines)[0] == HEADING.replace(" ", "") and not lines[0].result.chars
    with pytest.raises(PictureError, match="page 3 is wanted of a file with 2"):
        recognizer.read_page(document, detector=detector, number=3)


def test_regions_lie_where_the_text_is(detector: DbDetector) -> None:
    page = np.asarray(two_columns())
    ink = page.min(axis=2) < 128
    for found in detector(page):
        x0, y0, _, _, x2, y2, _, _ = (round(value) for value in found.region)
        ink[max(0, y0) : y2, max(0, x0) : x2] = False
    assert not ink.any(), "every dark pixel is in a region"
    assert len(detector(page)) == 1 + 2 * len(LEFT)
    assert detector(np.zeros((0, 5, 3), dtype=np.uint8)) == []


def test_a_graph_that_isnt_there_or_is_none_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"no detector at .*expected an ONNX file"):
        detector_graph(str(tmp_path / "none.onnx"))
    with pytest.raises(DataError, match="no ONNX graph that runs here"):
        DbDetector(graph=b"none")(np.zeros((64, 64, 3), dtype=np.uint8))
    another = (Path(default_bundle()) / ONNX_FILE).read_bytes()
    with pytest.raises(DataError, match=r"the detector failed: .*; give a graph of the DB family"):
        DbDetector(graph=another).load()
    monkeypatch.setattr(graph_module, "PACKAGE", "no-such-package")
    with pytest.raises(DataError, match="pip install 'crnn-on-ray"):
        detector_graph("no-such-package")
