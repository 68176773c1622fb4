"""``--pages``: whole pages read in the job's own process, printed in reading order."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from jobs import read, recognize
from jobs.read import ReadSettings
from tests.crnn.pages.drawn import TEXT, encrypted_pdf, in_file, two_columns
from tests.jobs.runs import PROJECT, KillPoints, within
from tests.pipelines.recognition.results import rows_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "scans").mkdir()
    two_columns().save(folder / "scans" / "page.png")
    (folder / "scans" / "book.pdf").write_bytes(in_file([two_columns()] * 2, "PDF"))
    (folder / "scans" / "locked.pdf").write_bytes(encrypted_pdf())
    return folder


def test_pages_are_printed_in_reading_order(folder: Path) -> None:
    done = within(read.main, "--pages", "scans/page.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace(" ", "").splitlines() == [text.replace(" ", "") for text in TEXT]


def test_a_folder_has_its_documents_too_and_what_fails_is_told(folder: Path) -> None:
    done = within(read.main, "--pages", "--json", "--no-chars", "--dpi", "100", "scans", cwd=folder)
    assert done.returncode == 1
    pages = {
        (Path(page["id"]).name, page["page"]): page
        for page in map(json.loads, done.stdout.splitlines())
    }
    assert sorted(pages, key=str) == [
        ("book.pdf", 1), ("book.pdf", 2), ("locked.pdf", None), ("page.png", 1)
    ]  # fmt: skip
    assert pages["locked.pdf", None]["error"]["code"] == "encrypted"
    assert "locked.pdf: encrypted: the PDF wants a password" in done.stderr
    line = pages["page.png", 1]["lines"][0]
    assert sorted(line) == ["confidence", "region", "score", "text", "turned"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dpi": 300}, "--dpi: only with --pages"),
        ({"pages": True, "then": "other"}, "--then doesn't go with --pages"),
        ({"pages": True, "dpi": 5}, "dpi is 5; expected 18 to 1200"),
        ({"pages": True, "detect_px": 5}, "--detect-px is 5; expected 64"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ReadSettings(pictures=("page.png",), **settings)


@pytest.mark.slow
@pytest.mark.fault
def test_killed_at_the_worst_moments_every_line_has_one_row(
    folder: Path, tmp_path: Path, local_ray: None
) -> None:
    """A worker that has written rows and told nobody, then the driver before its report."""
    for number in range(33):
        (tmp_path / "in").mkdir(exist_ok=True)
        name = ("page.png", "book.pdf", "locked.pdf")[number % 3]
        shutil.copy(folder / "scans" / name, tmp_path / "in" / f"{number}-{name}")
    command = ("--pages", "--dpi", "100", "--input", "in", "--output", "out")
    points, at = KillPoints(tmp_path / "points"), ("after part-*.parquet", "before _report.json")
    killed = points.run(PROJECT / "jobs" / "recognize.py", *command, at=at, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    parts = set((tmp_path / "out").rglob("part-*.parquet"))
    assert points.left() == set() and len(parts) == 3
    min(parts).unlink()
    done = within(recognize.main, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = rows_of(str(tmp_path / "out"))
    found = Counter((row["uri"], row["page"], row["line"]) for row in rows)
    each = Counter(Path(uri).name.partition("-")[2] for uri, *_ in found)
    assert set(found.values()) == {1}
    assert each == {"page.png": 11 * 7, "book.pdf": 11 * 2 * 7, "locked.pdf": 11}
