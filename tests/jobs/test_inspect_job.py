"""The inspection as a user calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from jobs import inspect_data
from tests.jobs.runs import (
    PROJECT,
    Run,
    here_and_as_a_process,
    refused,
    within,
    without_control_characters,
)
from tests.pipelines.inspection.planted import clean, noise, prepared, row

INSPECT = PROJECT / "jobs" / "inspect_data.py"


def inspect(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return within(inspect_data.main, *arguments, cwd=cwd)


@here_and_as_a_process(inspect_data.main, INSPECT)
def test_the_report_and_the_status(job: Run, tmp_path: Path, local_ray: None) -> None:
    prepared(tmp_path / "good", clean(60, seed=1))
    bad = [*clean(60, seed=2), row("wide", "a\u200bb", noise(60, 24))]
    prepared(tmp_path / "bad", bad)
    rare = ("--rare-below", "1", "--strict")
    done = job("good", "--out", "report", *rare, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 samples in 1 set\n" in done.stdout
    assert "nothing is wrong" in done.stdout
    assert "report: report/report.html" in done.stdout
    done = inspect("bad", "good", "--out", "report", *rare, "--charset", "ascii", cwd=tmp_path)
    refused(done, 1, "--strict", "1 invisible_character", "1 unknown_character")
    assert "looking: 121 of 121 pictures (100%)" in done.stdout
    assert without_control_characters(done.stdout)
    values = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert {f["code"] for f in values["findings"] if f["severity"] == "error"} == {
        "invisible_character", "unknown_character",
    }  # fmt: skip
    assert [entry["name"] for entry in values["sets"]] == ["bad", "good"]
    assert "<h1>Inspection of bad, good</h1>" in (tmp_path / "report" / "report.html").read_text(
        encoding="utf-8"
    )


def test_without_strict_errors_end_well_and_settings_count(tmp_path: Path, local_ray: None) -> None:
    rows = [*clean(40, seed=1), row("long", "abcdefghijklmnopqrst", noise(40, 24))]
    prepared(tmp_path / "set", rows)
    flags = ("--model.backbone", "vgg", "--picture.widths", "32", "128", "--limit", "41")
    done = inspect("set", "--out", "report", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert values["model"]["backbone"] == "vgg"
    assert values["buckets"]["current"]["widths"] == [32, 128]
    assert values["samples"] == 41
    assert values["errors"] == 0  # 33 time steps in the bucket of 128 px


def test_bad_arguments(tmp_path: Path) -> None:
    prepared(tmp_path / "set", clean(10, seed=1))
    refused(inspect(cwd=tmp_path), 2, "give a prepared set or a source")
    for arguments, status, *words in (
        ("nowhere", 1, "nowhere"),
        ("set --limit -1", 2, "--limit"),
        ("set --model.backbone magic", 2, "magic", "mobile"),
        ("set --out http://host/out", 2, "scheme"),
        ("set set", 2, "more than once"),
    ):
        refused(within(inspect_data.main, *arguments.split(), cwd=tmp_path), status, *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
