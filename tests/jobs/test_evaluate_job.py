from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crnn.decode.lexicon import read_lexicon
from crnn.errors import DataError
from jobs import evaluate
from jobs.evaluate import default_out
from pipelines.claim import at_work
from pipelines.evaluation import plan_evaluation
from pipelines.evaluation.parts import Parts
from pipelines.evaluation.reader import PieceOutcome
from pipelines.set_names import set_names
from tests.jobs.runs import (
    PROJECT,
    KillPoints,
    Run,
    here_and_as_a_process,
    refused,
    run,
    within,
)
from tests.pipelines.evaluation_cases import (
    digits,
    prepared_cases,
    random_bundle,
    unlike_bundle,
    write_set,
)

JOB = PROJECT / "jobs" / "evaluate.py"


@here_and_as_a_process(evaluate.main, JOB)
def test_from_any_folder_with_relative_paths(job: Run, tmp_path: Path, local_ray: None) -> None:
    prepared_cases(tmp_path)
    command = ("--bundle", "bundle", "--data", "first", "second", "--decoder", "beam")
    done = job(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (out,) = tmp_path.glob("evaluation-*")
    assert done.stdout.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "streaming_executor" not in done.stdout + done.stderr, "Ray Data's own log"
    report = json.loads((out / "report.json").read_text())
    assert (report["decoder"], list(report["sets"])) == ("beam", ["first", "second"])
    assert report["engines"] == ["torch"]
    predictions = pq.read_table(out / "predictions")
    assert report["total"]["count"] == predictions.num_rows == 63 + 25
    assert report["total"]["exact"] == sum(predictions["exact"].to_pylist())
    table = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in table if row[0] in ("first", "second", "all")] == [
        ["first", "63"], ["second", "25"], ["all", "88"],
    ]  # fmt: skip
    assert not any(ord(c) < 0x20 for c in done.stdout.replace("\n", ""))


def test_bad_input_is_one_message_and_a_status(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    write_set(tmp_path / "set", digits(5, seed=1))
    right = ("--bundle", "bundle", "--data", "set")
    for wrong, status, *words in (
        ("--data nowhere", 1, "nowhere"),
        ("--decoder magic", 2, "magic", "greedy"),
        ("--engine onnx", 1, "onnx", "jobs/export.py"),
        ("--colour red", 2, "--colour"),
    ):
        refused(within(evaluate.main, *right, *wrong.split(), cwd=tmp_path), status, *words)
    weights = tmp_path / "bundle" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    refused(within(evaluate.main, *right, cwd=tmp_path), 1, "SHA-256", "states")
    assert not list(tmp_path.glob("evaluation-*"))


def test_sets_are_named_by_the_ends_of_their_addresses() -> None:
    assert set_names(["/d/a/val", "s3://bucket/iiit/"]) == {
        "val": "/d/a/val",
        "iiit": "s3://bucket/iiit/",
    }
    assert list(set_names(["/d/a/val", "/d/b/val", "/d/c/test"])) == ["a/val", "b/val", "c/test"]
    with pytest.raises(ValueError, match="more than once"):
        set_names(["/d/a", "/d/a/"])


def test_the_report_lies_beside_a_local_bundle(tmp_path: Path) -> None:
    prepared_cases(tmp_path)
    planned = plan_evaluation(str(tmp_path / "bundle"), {"s": str(tmp_path / "second")})
    assert Path(default_out(planned, last="report.json")).parent == tmp_path
    with pytest.raises(ValueError, match="--out"):
        default_out(replace(planned, bundle_uri="s3://bucket/run/bundle"), last="report.json")


def test_an_evaluation_that_was_interrupted_goes_on_in_its_folder(
    tmp_path: Path,
    local_ray: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepared_cases(tmp_path)
    unlike_bundle(tmp_path / "strong", "0123456789")
    monkeypatch.chdir(tmp_path)
    command = ("--bundle", "bundle", "--then", "strong", "--data", "first", "second")
    whole = Parts.write
    left = iter(range(3))

    def interrupted(self: Parts, outcome: PieceOutcome) -> None:
        whole(self, outcome)
        if next(left, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Parts, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate.main(command)
    (folder,) = tmp_path.glob("evaluation-*")
    kept = pq.read_table(folder / "predictions").num_rows
    assert kept > 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    evaluate.main(command)
    assert f"going on in {folder}, which is unfinished" in capsys.readouterr().out
    assert list(tmp_path.glob("evaluation-*")) == [folder]
    evaluate.main((*command, "--out", "at-once"))
    for one in ("report.json", "then/report.json"):
        assert figures(folder / one) == figures(tmp_path / "at-once" / one)
    assert figures(folder / "cascade.json") == figures(tmp_path / "at-once/cascade.json")
    predictions = pq.read_table(folder / "predictions", columns=["set", "id"])
    assert predictions == pq.read_table(tmp_path / "at-once/predictions", columns=["set", "id"])


def figures(path: Path) -> dict[str, object]:
    """Of a report, but for the time that it took; sums of fractions to nine digits."""
    found: dict[str, object] = json.loads(
        path.read_text(), parse_float=lambda written: round(float(written), 9)
    )
    return {k: v for k, v in found.items() if k not in ("started", "seconds", "images_per_s")}


def test_two_evaluations_into_one_folder_are_refused(tmp_path: Path) -> None:
    prepared_cases(tmp_path)
    command = ("--bundle", "bundle", "--data", "second", "--out", "out")
    with at_work(str(tmp_path / "out")):
        done = within(evaluate.main, *command, cwd=tmp_path)
    refused(done, 1, "another job is at work in")


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before part-00001.parquet", "after part-00001.parquet"])
def test_a_killed_evaluation_reads_on(tmp_path: Path, point: str) -> None:
    prepared_cases(tmp_path)
    points = KillPoints(tmp_path / "points")
    write_set(tmp_path / "many", digits(6000, seed=3))
    command = ("--bundle", "bundle", "--data", "many")
    killed = points.run(JOB, *command, at=[point], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (out,) = tmp_path.glob("evaluation-*")
    kept = sum(pq.read_metadata(part).num_rows for part in (out / "predictions").glob("part*"))
    assert 0 < kept < 6000 and not (out / "report.json").exists()
    done = run(*command, job=JOB, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"going on in {out}" in done.stdout
    ids = pq.read_table(out / "predictions")["id"].to_pylist()
    assert len(ids) == len(set(ids)) == 6000
    assert json.loads((out / "report.json").read_text())["total"]["count"] == 6000


def test_lexicon_files(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeffone\r\n\n  e\u0301te \n", encoding="utf-8")
    assert read_lexicon(str(path)) == ["one", "éte"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_lexicon(str(path))
    path.write_text("\n")
    with pytest.raises(DataError, match="no words"):
        read_lexicon(str(path))
    with pytest.raises(DataError, match="no such file"):
        read_lexicon(str(tmp_path / "none.txt"))


def test_a_second_bundle_gets_a_bound(tmp_path: Path, local_ray: None) -> None:
    prepared_cases(tmp_path)
    unlike_bundle(tmp_path / "strong", "0123456789")
    command = ("--bundle", "bundle", "--then", "strong", "--data", "second", "--out", "out")
    done = within(evaluate.main, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    cascade = json.loads((tmp_path / "out/cascade.json").read_text())
    reports = [
        json.loads((tmp_path / f"out/{one}report.json").read_text()) for one in ("", "then/")
    ]
    alone, *_, always = cascade["bounds"]
    assert (alone["below"], alone["doubtful"]) == (0.0, 0) and always["below"] == 1.0
    assert alone["right"] == reports[0]["total"]["exact"]
    assert [report["total"]["count"] for report in reports] == [alone["count"]] * 2 == [25] * 2
    assert last.startswith("bundle alone is within 0.3 points of the best")  # it reads nonsense
    refused(within(evaluate.main, *command, "--points", "-1", cwd=tmp_path), 2, "--points is -1")
    same = ("--bundle", "bundle", "--then", "bundle", "--data", "second", "--out", "out")
    refused(within(evaluate.main, *same, cwd=tmp_path), 2, "the same as --bundle")
