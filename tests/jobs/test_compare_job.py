"""The comparison as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from jobs import compare_data
from tests.jobs.runs import refused, within, without_control_characters
from tests.pipelines.inspection.planted import clean, noise, prepared, row
from tests.pipelines.test_review import results
from tests.pipelines.test_review import row as review_row


def test_the_page_and_the_distances(tmp_path: Path, local_ray: None) -> None:
    rows = clean(40, seed=1)
    prepared(tmp_path / "one", rows)
    prepared(tmp_path / "same", rows)
    prepared(tmp_path / "other", [row("n", "abc", noise(90, 48)), row("junk", "x", b"junk")])
    arguments = ("one", "same", "other", "--out", "page", "--limit", "30")
    done = within(compare_data.main, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "measuring: 62 of 62 pictures (100%)" in done.stdout
    assert "other: 1 not measured, undecodable" in done.stdout
    assert "page: page/comparison.html" in done.stdout
    assert without_control_characters(done.stdout)
    values = json.loads((tmp_path / "page" / "comparison.json").read_text(encoding="utf-8"))
    assert [(s["name"], s["samples"]) for s in values["sets"]] == [
        ("one", 30), ("same", 30), ("other", 1),
    ]  # fmt: skip
    for trait in values["traits"].values():
        assert trait["sets"]["same"]["distance"] == 0
    brightness = values["traits"]["brightness"]["sets"]["other"]
    assert brightness["distance"] > 1  # noise of mean 127 beside black on white
    assert (tmp_path / "page" / "comparison.html").stat().st_size > 10_000


def test_bad_arguments(tmp_path: Path) -> None:
    prepared(tmp_path / "set", clean(10, seed=1))
    for arguments, status, *words in (
        ("set", 2, "2 to 6"),
        ("set nowhere", 1, "nowhere"),
        ("set set", 2, "more than once"),
        ("set set --height 2", 2, "--height"),
        ("set set --out http://host/out", 2, "scheme"),
    ):
        refused(within(compare_data.main, *arguments.split(), cwd=tmp_path), status, *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_two_results_are_compared_by_their_rows(tmp_path: Path) -> None:
    results(tmp_path / "monday", [review_row("/a.png", "12"), review_row("/b.png", "34")])
    results(tmp_path / "tuesday", [review_row("/a.png", "12"), review_row("/b.png", "35")])
    done = within(compare_data.main, "monday", "tuesday", "--out", "page", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "comparing: 2 of 2 files" in done.stdout
    assert "of these: 1 the same text, 1 another text, 0 read before" in done.stdout
    assert "page: page/comparison.html" in done.stdout
    assert pq.read_table(tmp_path / "page" / "changed.parquet")["uri"].to_pylist() == ["/b.png"]
    for arguments, *words in (
        ("monday tuesday --height 48", "--height", "rows of two bulk jobs"),
        ("monday tuesday monday/model=0123456789abcdef", "two of them", "--format results"),
        ("page nowhere --unfinished", "--unfinished"),
    ):
        refused(within(compare_data.main, *arguments.split(), cwd=tmp_path), 2, *words)
