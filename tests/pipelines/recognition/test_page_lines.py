"""Whole pages in bulk: every line of every page once, whatever came before."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crnn import Recognizer
from crnn.bundle.shipped import default_bundle
from crnn.errors import DataError
from pipelines.recognition import BulkConfig, recognize
from tests.crnn.pages.dark import dark_pixels, some_fail
from tests.crnn.pages.drawn import encrypted_pdf, in_file, turned, two_columns
from tests.pipelines.recognition.results import assert_says_what_rows_say, rows_of

pytestmark = pytest.mark.usefixtures("local_ray")
BLANK = Image.new("RGB", (300, 200), "white")
CONFIG = BulkConfig(pages=True, dpi=72, max_pages=5, workers=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    files = {
        "book.pdf": in_file([two_columns(), BLANK, turned(two_columns(), 2)], "PDF"),
        "fax.tif": in_file([BLANK, two_columns()], "TIFF"),
        "locked.pdf": encrypted_pdf(),
        "thick.pdf": in_file([BLANK] * 6, "PDF"),
        "none.png": b"",
        "notes.txt": b"no page",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    two_columns().save(folder / "page.png")
    return folder


Place = tuple[str, int | None, int | None]


def by_place(rows: list[dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    """Rows by file, page and line, each of which there is once."""
    found = {(Path(row["uri"]).name, row["page"], row["line"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def texts(rows: dict[Place, dict[str, Any]], name: str, page: int) -> list[str]:
    lines = sorted(place[2] or 0 for place in rows if place[:2] == (name, page))
    return [rows[name, page, line]["text"] for line in lines if line]


def test_every_line_has_one_row_as_the_recognizer_reads_it(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    outcome = recognize(default_bundle(), str(folder), out, CONFIG)
    rows, recognizer = by_place(rows_of(out)), Recognizer.load()
    for name, page in (("book.pdf", 1), ("book.pdf", 3), ("fax.tif", 2), ("page.png", 1)):
        lines = recognizer.read_page(folder / name, number=page, dpi=CONFIG.dpi)
        assert [line.text for line in lines] == texts(rows, name, page) != []
        for number, line in enumerate(lines, start=1):
            row = rows[name, page, number]
            assert row["region"] == pytest.approx(line.region)
            assert row["confidence"] == pytest.approx(line.result.confidence, abs=1e-3)
            assert "".join(char["char"] for char in row["chars"]) == line.text
    bare = [place for place in rows if place[2] is None]
    assert Counter(bare) == dict.fromkeys(
        [
            ("book.pdf", 2, None), ("fax.tif", 1, None),
            ("locked.pdf", None, None), ("thick.pdf", None, None), ("none.png", None, None),
        ],
        1,
    )  # fmt: skip
    blank = rows["book.pdf", 2, None]
    assert (blank["text"], blank["confidence"], blank["error_code"]) == ("", None, None)
    errors = {"encrypted": 1, "too_many_pages": 1, "empty_file": 1}
    assert outcome.report["errors"] == errors
    assert (outcome.read, outcome.report["rows"]) == (6, len(rows))


def test_a_file_that_changed_or_failed_is_read_again_and_replaces_all_its_rows(
    folder: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    for name in ("thick.pdf", "none.png", "fax.tif"):
        (folder / name).unlink()
    recognize(default_bundle(), str(folder), out, CONFIG)
    before = by_place(rows_of(out))
    assert recognize(default_bundle(), str(folder), out, CONFIG).read == 0
    (folder / "book.pdf").write_bytes(in_file([BLANK], "PDF"))
    os.utime(folder / "book.pdf", (1, 1))
    assert recognize(default_bundle(), str(folder), out, CONFIG).read == 1
    after = by_place(rows_of(out))
    assert [place for place in after if place[0] == "book.pdf"] == [("book.pdf", 1, None)]
    others = {place: row for place, row in before.items() if place[0] != "book.pdf"}
    assert {place: row for place, row in after.items() if place[0] != "book.pdf"} == others
    again = recognize(default_bundle(), str(folder), out, BulkConfig(**vars(CONFIG) | RETRY))
    assert again.read == 1 and len(by_place(rows_of(out))) == len(after)
    assert_says_what_rows_say(again.report, default_bundle(), CONFIG, tmp_path / "counted")


RETRY = {"retry_failed": True}


def test_lists_of_regions_and_other_settings_for_the_same_rows_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(f"uri,x0,y0,x1,y1\n{folder}/page.png,0,0,9,9\n")
    with pytest.raises(DataError, match="names regions of its pictures"):
        recognize(default_bundle(), str(boxes), str(tmp_path / "a"), CONFIG)
    only = tmp_path / "only.csv"
    only.write_text(f"uri\n{folder}/locked.pdf\n")
    recognize(default_bundle(), str(only), str(tmp_path / "b"), CONFIG)
    with pytest.raises(DataError, match="dpi: 72 → 300"):
        other = BulkConfig(**vars(CONFIG) | {"dpi": 300})
        recognize(default_bundle(), str(only), str(tmp_path / "b"), other)


def test_a_page_that_the_detector_cannot_take_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/book.tif").write_bytes(in_file(some_fail(), "TIFF"))
    out, detector = str(tmp_path / "out"), dark_pixels(tmp_path)
    outcome = recognize(
        default_bundle(), str(tmp_path / "in"), out, replace(CONFIG, detector=detector)
    )
    rows = by_place(rows_of(out))
    assert [place for place in rows if place[2] is None] == [("book.tif", 2, None)]
    assert outcome.report["errors"] == {"detector_failed": 1}
    assert "the detector failed: " in rows["book.tif", 2, None]["error_message"]
    assert len(texts(rows, "book.tif", 1)) == len(texts(rows, "book.tif", 3)) > 0
