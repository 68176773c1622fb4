"""The comparison as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import compare_data, evaluate
from tests.jobs.runs import refused, within, without_control_characters
from tests.pipelines.evaluation_cases import prepared_cases, random_bundle
from tests.pipelines.inspection.planted import clean, noise, prepared, row
from tests.pipelines.test_review import results
from tests.pipelines.test_review import row as review_row


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_evaluations_say_which_bundle_is_better(tmp_path: Path, local_ray: None) -> None:
    prepared_cases(tmp_path)
    random_bundle(tmp_path / "other", seed=6)
    for bundle, out in (("bundle", "old"), ("other", "new")):
        command = ("--bundle", bundle, "--data", "first", "second", "--out", out)
        done = within(evaluate.main, *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = within(compare_data.main, "old", "new", "--out", "which", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "which" / "comparison.json").read_text(encoding="utf-8"))
    assert list(figures["tests"]) == ["first", "second", "all"]
    reports = [json.loads((tmp_path / out / "report.json").read_text()) for out in ("old", "new")]
    totals = [report["total"] for report in reports]
    exact, errors = (figures["tests"]["all"][name] for name in ("exact", "characters"))
    assert [exact["first"], exact["second"]] == [total["exact"] for total in totals]
    assert [errors["first"], errors["second"]] == [total["edits"] for total in totals]
    assert errors["count"] == totals[0]["characters"]
    assert "all, exact: old " in done.stdout
    read = [pq.read_table(tmp_path / out / "predictions") for out in ("old", "new")]
    texts = [dict(zip(zip(t["set"].to_pylist(), t["id"].to_pylist(), strict=True),
                      t["text"].to_pylist(), strict=True)) for t in read]  # fmt: skip
    changed = pq.read_table(tmp_path / "which" / "changed.parquet")
    differing = sum((texts[0][key] or "") != (texts[1][key] or "") for key in texts[0])
    assert changed.num_rows == figures["changed"] == differing > 0
    set_digest = reports[1]["sets"]["first"]["digest"]
    reports[1]["sets"]["first"]["digest"] = "0" * len(set_digest)
    (tmp_path / "new" / "report.json").write_text(json.dumps(reports[1]))
    for arguments, status, *words in (
        ("old new", 1, "'first' isn't the same", set_digest[:12]),
        ("old new --unfinished", 2, "--unfinished"),
        ("old new --limit 3", 2, "--limit", "two evaluations"),
    ):
        refused(within(compare_data.main, *arguments.split(), cwd=tmp_path), status, *words)
