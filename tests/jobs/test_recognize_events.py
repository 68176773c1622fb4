"""A job that takes events from a queue, as a user starts it, and as the world kills it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from crnn import kill_points
from crnn.files import storage
from tests.jobs.runs import PROJECT, started, wait_until, without_control_characters
from tests.jobs.test_recognize_job import uris
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.queues import ToldQueue, event

JOB = PROJECT / "jobs" / "recognize.py"


@pytest.mark.slow
@pytest.mark.fault
def test_killed_between_plan_and_deletion_every_picture_has_one_row(
    new_bucket: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_bundle(tmp_path / "bundle")
    bucket, out, log, points = new_bucket(), tmp_path / "out", tmp_path / "log", tmp_path / "points"
    queue = ToldQueue("crops", visibility_s=5)
    points.mkdir()
    monkeypatch.setenv(kill_points.VARIABLE, str(points))
    command = ("--bundle", "bundle", "--input", f"{bucket}/in", "--output", "out", "--follow")
    command += ("--events", queue.url, "--every-s", "0.5")

    def put(*numbers: int, text: str = "") -> None:
        for number in numbers:
            storage.write_bytes(f"{bucket}/in/{number} +.png", rendered(text or str(number)))

    def until_read(count: int, job: subprocess.Popen[bytes]) -> None:
        wait_until(lambda: len(uris(out)) == count, job=job, log=log)

    put(*range(5))
    queue.of(bucket)
    with started(*command, job=JOB, cwd=tmp_path) as job:
        until_read(5, job)
        put(*range(5, 10))
        until_read(10, job)
        wait_until(lambda: queue.count() == 0, job=job, log=log)
        (points / "after plan-*.parquet").touch()
        put(10)
        assert job.wait(timeout=600) == -signal.SIGKILL
    assert queue.count() == 1
    put(11)
    with started(*command, job=JOB, cwd=tmp_path) as job:
        until_read(12, job)
        put(0, text="31415")
        queue.send(event(f"{bucket}/in/1 +.png", "an older version"))
        wait_until(lambda: queue.count() == 0, job=job, log=log)
        put(12)  # planned behind them, and so read behind them
        until_read(13, job)
        wait_until(lambda: queue.count() == 0, job=job, log=log)
        job.send_signal(signal.SIGINT)
        assert job.wait(timeout=120) == 0, log.read_text()
    assert uris(out) == {f"{bucket}/in/{number} +.png": 1 for number in range(13)}
    assert json.loads((out / "_report.json").read_text())["rows"] == 13
    said = log.read_text()
    assert "what came while it ran: lag at most" in said
    assert "read 4 pictures in this run" in said
    assert "Traceback" not in said and without_control_characters(said)
