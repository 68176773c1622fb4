"""``--track``: what it asks for, and what a tracker that fails does to a run: one warning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import train
from jobs.training import tracking
from jobs.training.tracking import Tracker, check_installed
from tests.jobs.recorder import Recorder, track_to
from tests.jobs.runs import refused, within


def test_a_missing_package_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="run: pip install wandb, or leave --track out"):
        check_installed("wandb")
    check_installed("")
    done = within(train.main, "--track", "mlflow", cwd=tmp_path)
    refused(done, 2, "the package mlflow isn't installed; run: pip install mlflow")
    assert not list(tmp_path.rglob("*"))


def test_a_tracker_that_fails_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    track_to(tmp_path / "tracked", monkeypatch)

    def fail(self: Recorder, values: object, samples: int) -> None:
        raise ConnectionError("nobody is there")

    monkeypatch.setattr(Recorder, "metrics", fail)
    tracker = Tracker("mlflow", str(tmp_path), "first", {"epochs": 2})
    for samples in (100.0, 200.0):
        tracker.metrics({"samples": samples, "val_exact": 0.5})
    tracker.finish(str(tmp_path), str(tmp_path / "bundle"))
    error = capsys.readouterr().err
    assert error.count("warning: --track mlflow failed") == error.count("\n") == 1
    assert "nobody is there" in error
    assert not (tmp_path / "tracked" / "closed").exists()


def test_a_tracker_that_cannot_begin_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begin(name: str, known: str) -> Recorder:
        raise PermissionError("no such project")

    monkeypatch.setitem(tracking._SINKS, "wandb", begin)
    tracker = Tracker("wandb", str(tmp_path), "first", {})
    tracker.metrics({"samples": 1.0})
    assert capsys.readouterr().err.count("warning: --track wandb failed") == 1


def test_a_resumed_run_goes_on_under_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track_to(tmp_path / "tracked", monkeypatch)
    kept = {"track": "mlflow", "id": "as-before"}
    (tmp_path / tracking.TRACKING_FILE).write_text(json.dumps(kept))
    Tracker("mlflow", str(tmp_path), "first", {"epochs": 2}).metrics({"samples": 7.0, "loss": 1.0})
    assert json.loads((tmp_path / tracking.TRACKING_FILE).read_text()) == kept
    assert not (tmp_path / "tracked" / "params.json").exists()
    assert json.loads((tmp_path / "tracked" / "metrics.jsonl").read_text()) == {
        "loss": 1.0,
        "at": 7,
    }
