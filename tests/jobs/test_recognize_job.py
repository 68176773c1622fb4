"""The bulk job as a user starts it, and as the world kills it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn import load_bundle
from jobs import recognize
from tests.jobs.processes import VICTIMS
from tests.jobs.runs import (
    PROJECT,
    KillPoints,
    Run,
    environment,
    here_and_as_a_process,
    refused,
    run,
    started,
    wait_until,
    within,
    without_control_characters,
)
from tests.pipelines.evaluation_cases import random_bundle, rendered, unlike_bundle

JOB = PROJECT / "jobs" / "recognize.py"
COUNT = 8000
_DISTINCT = 200


def crops(folder: Path, count: int) -> Path:
    """Pictures of numbers, from the 200th on of one name more for an earlier one; every fifth has a
    palette, so that a process apart decodes it."""
    (folder / "crops").mkdir()
    for number in range(count):
        path = folder / "crops" / f"{number}.png"
        if number >= _DISTINCT:
            path.hardlink_to(folder / "crops" / f"{number % _DISTINCT}.png")
            continue
        path.write_bytes(rendered(str(number)))
        if number % 5 == 0:
            with Image.open(path) as image:
                image.convert("P").save(path)
    return folder / "crops"


def uris(folder: Path) -> Counter[str]:
    parts = folder.rglob("part-*.parquet")
    return Counter(
        u for part in parts for u in pq.read_table(part, columns=["uri"])["uri"].to_pylist()
    )


@here_and_as_a_process(recognize.main, JOB, "nightly")
def test_a_folder_and_again(job: Run, tmp_path: Path, local_ray: None) -> None:
    random_bundle(tmp_path / "bundle")
    pictures = crops(tmp_path, 60)
    command = ("--bundle", "bundle", "--input", "crops", "--output", "out")
    first = job(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "60 rows, 60 read, errors: none" in first.stdout
    assert uris(tmp_path / "out") == {str(p): 1 for p in pictures.iterdir()}
    assert json.loads((tmp_path / "out/_report.json").read_text())["rows"] == 60
    again = within(recognize.main, *command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "read 0 pictures in this run" in again.stdout


def test_bad_input_is_one_message_and_a_status(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    crops(tmp_path, 1)
    good = {"--bundle": "bundle", "--input": "crops", "--output": "out"}

    def job(**changed: str) -> subprocess.CompletedProcess[str]:
        flags = good | {f"--{name}": value for name, value in changed.items()}
        arguments = [part for pair in flags.items() for part in pair]
        return within(recognize.main, *arguments, cwd=tmp_path)

    refused(job(bundle="nowhere"), 1, "nowhere")
    refused(job(input="nowhere"), 1, "nowhere", "folder")
    refused(job(decoder="magic"), 2, "magic", "greedy")
    refused(job(lexicon="none.txt"), 1, "none.txt")
    refused(job(engine="torch-bf16"), 1, "torch-bf16", "jobs/export.py")
    refused(job(**{"every-s": "5"}), 2, "--every-s 5: only with --follow")
    refused(job(**{"every-s": "0"}), 2, "--every-s is 0; expected above 0")
    refused(job(**{"relist-s": "5"}), 2, "--relist-s 5: only with --events")
    refused(job(events="https://sqs.eu-central-1.amazonaws.com/1/q"), 2, "only with --follow")
    command = ("--follow", "--output", "out", "--input", "crops", "--events")
    for url, word in (("https://sqs/1/q", "'crops'"), ("arn:aws:sqs:us-east-1:1:q", "get-queue")):
        refused(within(recognize.main, *command, url, cwd=tmp_path), 2, "--events", word)
    refused(
        within(recognize.main, "crops/0.png", "--follow", cwd=tmp_path), 2, "--follow", "--output"
    )
    assert not (tmp_path / "out").exists()


def test_a_list_of_nothing_that_is_there_is_no_success(tmp_path: Path, local_ray: None) -> None:
    """Each address has its row, the status says that the list is wrong; one picture changes it."""
    random_bundle(tmp_path / "bundle")
    (tmp_path / "list.csv").write_text("uri\nno/1.png\nno/2.png\n")
    command = ("--bundle", "bundle", "--input", "list.csv", "--output", "out")
    refused(
        within(recognize.main, *command, cwd=tmp_path), 1, "list.csv", "2 not_found", "no/1.png"
    )
    assert uris(tmp_path / "out") == {str(tmp_path / f"no/{i}.png"): 1 for i in (1, 2)}
    crops(tmp_path, 1)
    (tmp_path / "list.csv").write_text("uri\nno/1.png\nno/2.png\ncrops/0.png\n")
    found = within(recognize.main, *command, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "3 rows, 1 read, errors: 2 not_found" in found.stdout


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    "more",
    [pytest.param((), marks=pytest.mark.nightly), ("--then", "second", "--below", "1.0")],
)
def test_killed_at_the_worst_moments_every_input_has_one_row(
    more: tuple[str, ...], tmp_path: Path, local_ray: None
) -> None:
    """A worker that has written rows and told nobody, then the driver before its report."""
    random_bundle(tmp_path / "bundle")
    second = load_bundle(unlike_bundle(tmp_path / "second")).digest
    pictures = crops(tmp_path, 1100)
    command = ("--bundle", "bundle", "--input", "crops", "--output", "out", *more)
    points, at = KillPoints(tmp_path / "points"), ("after part-*.parquet", "before _report.json")
    killed = points.run(JOB, *command, at=at, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert points.left() == set()
    parts_before = parts(tmp_path / "out")
    assert len(parts_before) == 3
    min(parts_before).unlink()
    done = within(recognize.main, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert uris(tmp_path / "out") == {str(p): 1 for p in pictures.iterdir()}
    report = json.loads((tmp_path / "out/_report.json").read_text())
    assert report["rows"] == 1100
    read_by = {one["digest"]: one["read"] for one in report["read_by"]}
    assert (read_by.get(second, 0) > 1000) == bool(more)


@pytest.mark.nightly
@pytest.mark.fault
def test_killed_at_many_moments_every_input_has_one_row(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    pictures = crops(tmp_path, COUNT)
    out = tmp_path / "out"
    command = f"{sys.executable} {JOB} --bundle bundle --input crops --output out".split()
    rng, killed = random.Random(4), Counter[str]()
    for kind in ("driver", "worker", "everything", "decoder", "driver", "everything", "worker"):
        before = parts(out)
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL
        ) as job:
            while job.poll() is None and parts(out) == before:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.5))
            victims = []
            while job.poll() is None and not victims:
                victims = [process.pid for process in VICTIMS[kind](job.pid)]
            killed[kind] += job.poll() is None and bool(victims)
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = job.wait(timeout=300)
        if status == 0:  # the loss was made up for; there must be something to do next time
            (out / "_report.json").unlink()
            for part in sorted(out.rglob("part-*.parquet"))[::3]:
                part.unlink()
        assert not (out / "_report.json").exists()
    assert killed.total() >= 4, f"the job was too fast to be killed: {killed}"
    assert all(killed[kind] for kind in VICTIMS), killed
    done = run(*command[2:], cwd=tmp_path, job=JOB)
    assert done.returncode == 0, done.stderr
    assert uris(out) == {str(p): 1 for p in pictures.iterdir()}
    assert json.loads((out / "_report.json").read_text())["rows"] == COUNT


def parts(out: Path) -> set[Path]:
    return set(out.rglob("part-*.parquet"))


@pytest.mark.slow
@pytest.mark.fault
def test_a_followed_folder_outlives_a_kill_and_a_signal_ends_it(tmp_path: Path) -> None:
    random_bundle(tmp_path / "bundle")
    pictures, out, log = crops(tmp_path, 20), tmp_path / "out", tmp_path / "log"
    command = ("--bundle", "bundle", "--input", "crops", "--output", "out", "--follow")

    def until_read(count: int, job: subprocess.Popen[bytes]) -> None:
        wait_until(lambda: len(uris(out)) == count, job=job, log=log)

    def draw(*numbers: int, text: str = "") -> None:
        for number in numbers:
            (pictures / f"{number}.png").write_bytes(rendered(text or str(number)))

    with started(*command, "--every-s", "0.5", job=JOB, cwd=tmp_path) as job:
        until_read(20, job)
        draw(*range(20, 30))
        until_read(30, job)
        draw(*range(30, 40))
        job.send_signal(signal.SIGKILL)
        job.wait()
    with started(*command, "--every-s", "0.5", job=JOB, cwd=tmp_path) as job:
        until_read(40, job)
        draw(0, text="31415")
        draw(*range(40, 45))
        until_read(45, job)
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=120) == 0, log.read_text()
    assert uris(out) == {str(path): 1 for path in pictures.iterdir()}
    assert json.loads((out / "_report.json").read_text())["rows"] == 45
    said = log.read_text()
    assert "stopping: finishing what is being read" in said
    assert "what came while it ran: lag at most" in said
    assert "Traceback" not in said and without_control_characters(said)
