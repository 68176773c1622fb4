"""``--pages``: whole pages read in the job's own process, printed in reading order."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from crnn import Cascade, Recognizer, load_bundle
from crnn.bundle.shipped import default_bundle
from jobs import read, recognize
from jobs.read import ReadSettings
from tests.crnn.pages import bad_pages
from tests.crnn.pages.drawn import TEXT, encrypted_pdf, in_file, two_columns
from tests.jobs.runs import PROJECT, KillPoints, within
from tests.pipelines.evaluation_cases import unlike_bundle
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
    assert sorted(line) == ["confidence", "model", "region", "score", "text", "turned"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dpi": 300}, "--dpi: only with --pages"),
        ({"pages": True, "dpi": 5}, "dpi is 5; expected 18 to 1200"),
        ({"pages": True, "detect_px": 5}, "--detect-px is 5; expected 64"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ReadSettings(pictures=("page.png",), **settings)


def test_a_second_bundle_reads_the_lines_that_the_first_one_doubts(
    folder: Path, tmp_path: Path
) -> None:
    second = unlike_bundle(tmp_path / "second")
    command = ("--pages", "--json", "--then", second, "--below", "1", "scans/page.png")
    done = within(read.main, *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)["lines"]
    page = folder / "scans" / "page.png"
    expected = Cascade.load(default_bundle(), then=second, below=1).read_page(page)
    assert [(line["text"], line["model"]) for line in lines] == [
        (line.text, line.result.model) for line in expected
    ]
    assert load_bundle(second).digest in {line["model"] for line in lines}


def test_a_job_counts_files_pages_and_lines(folder: Path, tmp_path: Path, local_ray: None) -> None:
    command = ("--pages", "--dpi", "100", "--input", "scans", "--output", str(tmp_path / "out"))
    done = within(recognize.main, *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = "3 of 3 files (100%), "
    assert found in done.stdout and ", 3 pages, 21 lines, 1 errors" in done.stdout
    assert "read 3 files with 3 pages, 21 lines in this run, " in done.stdout
    assert " pages/s after " in done.stdout and "pictures" not in done.stdout
    run = json.loads((tmp_path / "out" / "_report.json").read_text())["run"]
    assert (run["pictures"], run["pages"], run["lines"]) == (3, 3, 21)
    assert "pages a second" in (tmp_path / "out" / "_report.html").read_text()
    assert "read 0 files" in within(recognize.main, *command, cwd=folder).stdout


@pytest.mark.slow
def test_bad_pages_have_their_codes_and_good_ones_beside_them_are_read(
    tmp_path: Path, local_ray: None
) -> None:
    cases = {**bad_pages.light(), **bad_pages.heavy()}
    (tmp_path / "in").mkdir()
    for number, (name, case) in enumerate(cases.items()):
        (tmp_path / "in" / f"{number:03d}-b {name}").write_bytes(case.data)
        two_columns().save(tmp_path / "in" / f"{number:03d}-a.png")
    done = within(
        recognize.main,
        *("--pages", "--input", "in", "--output", "out", "--decode-timeout-s", "10"),
        *("--max-pages", str(bad_pages.MOST_PAGES), "--dpi", str(bad_pages.DPI)),
        *("--decode-memory-mb", "1024"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows: defaultdict[str, list[dict]] = defaultdict(list)
    for row in rows_of(str(tmp_path / "out")):
        rows[Path(row["uri"]).name].append(row)
    good = [line.text for line in Recognizer.load().read_page(tmp_path / "in" / "000-a.png")]
    for number, (name, case) in enumerate(cases.items()):
        bad = rows[f"{number:03d}-b {name}"]
        assert {row["page"] for row in bad} == set(case.codes), (name, bad)
        for row in bad:
            code = row["error_code"] or bad_pages.OPENED
            assert code in case.codes[row["page"]], (name, row)
        beside = sorted(rows[f"{number:03d}-a.png"], key=lambda row: row["line"])
        assert [row["text"] for row in beside] == good
    assert len(rows) == 2 * len(cases)


@pytest.mark.nightly
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
