"""The command that writes documents: what it prints, and its status."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import documents
from tests.jobs.runs import refused, within
from tests.pipelines.test_documents import book, failed, files, results
from tests.pipelines.test_documents_pdf import lines, read_at


def test_it_writes_every_form_and_lists_what_is_missing(tmp_path: Path) -> None:
    results(tmp_path / "r", book(), [failed("/in/locked.pdf", None, "encrypted")])
    forms = ("--format", "txt", "json", "hocr", "alto")
    done = within(documents.main, "r", "out", *forms, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 files with 3 pages in " in done.stdout
    assert "4 documents written to out\n" in done.stdout
    assert "errors: 1 bad_region, 1 undecodable, 1 encrypted\n" in done.stdout
    assert "  /in/book.pdf, page 1, line 3: bad_region: bad_region!\n" in done.stdout
    assert "  /in/locked.pdf: encrypted: encrypted!\n" in done.stdout
    assert len(files(tmp_path / "out")) == 4
    again = within(documents.main, "r", "out", *forms, cwd=tmp_path)
    assert "0 documents written to out; 4 that were there are up to date" in again.stdout


def test_long_lists_are_cut(tmp_path: Path) -> None:
    results(
        tmp_path / "r", [*book(), *(failed(f"/{n}.png", None, "empty_file") for n in range(30))]
    )
    done = within(documents.main, "r", "out", cwd=tmp_path)
    assert done.stdout.count("empty_file!") == 18
    assert done.stdout.endswith("  and 12 more: see error_code in the results\n")


def test_its_status_says_that_no_document_could_be_written(tmp_path: Path) -> None:
    read_at(tmp_path / "r", [*lines("/gone/a.jpg"), *lines("/gone/b.jpg")])
    within_reach = within(documents.main, "r", "out", "--format", "pdf", "txt", cwd=tmp_path)
    assert within_reach.returncode == 0, within_reach.stderr
    assert "errors: 2 not_found\n" in within_reach.stdout
    done = within(documents.main, "r", "pdfs", "--format", "pdf", cwd=tmp_path)
    assert "  /gone/b.jpg: not_found: no file at '/gone/b.jpg'\n" in done.stdout
    refused(done, 1, "none of the documents of 2 files", "2 not_found", "give the files back")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ("r", "out"),
            1,
            ("none of the 1 files", "locked.pdf: encrypted", "correct the input"),
        ),
        (("nothing", "out"), 1, ("there are no results",)),
        (("r", "out", "--format", "docx"), 2, ("--format",)),
        (("r", "ftp://out"), 2, ("scheme 'ftp'",)),
    ],
)
def test_what_is_refused(
    arguments: tuple[str, ...], status: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    results(tmp_path / "r", [failed("/in/locked.pdf", None, "encrypted")])
    refused(within(documents.main, *arguments, cwd=tmp_path), status, *words)
