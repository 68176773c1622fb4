from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crnn.decode.lexicon import read_lexicon
from crnn.errors import DataError
from jobs import evaluate
from jobs.evaluate import default_out
from pipelines.set_names import set_names
from tests.jobs.runs import PROJECT, Run, here_and_as_a_process, refused, within
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
    assert Path(default_out(str(tmp_path / "run" / "bundle"))).parent == tmp_path / "run"
    with pytest.raises(ValueError, match="--out"):
        default_out("s3://bucket/run/bundle")


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
