from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from jobs import prepare
from pipelines.shards import load_manifest, read_row_group
from tests.jobs.processes import VICTIMS
from tests.jobs.runs import KillPoints, environment, refused, within
from tests.jobs.runs import run as process

JOB = Path(__file__).resolve().parents[2] / "jobs" / "prepare.py"

LONG = 600
PART_ROWS = "4"
KILLED_LONG = 20_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    lines = []
    for number in range(40):
        buffer = io.BytesIO()
        Image.new("L", (30 + number, 16), number).save(buffer, "PNG")
        (folder / f"{number}.png").write_bytes(buffer.getvalue())
        lines.append(f"{number}.png\t{number}\n")
    (folder / "labels.tsv").write_text("".join(lines))
    return folder


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return process(*arguments, cwd=cwd, job=JOB)


def test_relative_paths_and_again(source: Path, tmp_path: Path, local_ray: None) -> None:
    command = ("source", "out", "--val-share", "0.25", "--part-rows", "10")
    first = within(prepare.main, *command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    train, val = (
        load_manifest(str(tmp_path / "out/train")),
        load_manifest(str(tmp_path / "out/val")),
    )
    assert train.count + val.count == 40
    assert "out/train is complete" in first.stdout
    assert "/s, 0:00 left, 0 rejects" in first.stdout
    assert all(character.isprintable() or character == "\n" for character in first.stdout)
    again = within(prepare.main, *command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("was complete already, nothing done") == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("nowhere", "out"), 1, "error: there is no folder"),
        (("source", "source"), 1, "error: "),
        (("source", "out", "--val-share", "2"), 2, "--val-share"),
        (("source", "out", "--format", "tiff"), 2, "tiff"),
        (("source", "out", "--format", "lmdb"), 1, "lacks any of data.mdb"),
        (("source", "out", "--label-pattern", "("), 2, "--label-pattern"),
        (("source", "source", "out"), 2, "distinct names"),
        (("source",), 2, "expected SOURCE"),
        (("source", "out", "--no-such-flag"), 2, "no-such-flag"),
        (("http://host/x", "out"), 2, "scheme"),
    ],
)
def test_bad_arguments_and_bad_data(
    source: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    refused(within(prepare.main, *arguments, cwd=tmp_path), status, message)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def started(source: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A job with its first parts done and many to do: it can't end before it is killed."""
    with (source / "labels.tsv").open("a") as labels:
        for number in range(40, LONG):
            (source / f"{number}.png").hardlink_to(source / f"{number % 40}.png")
            labels.write(f"{number}.png\t{number}\n")
    command = [sys.executable, str(JOB), "source", "out", "--part-rows", PART_ROWS]
    job = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob("out/_parts/part-*.json")):
        assert job.poll() is None, job.communicate()
        time.sleep(0.01)
    yield job
    job.kill()
    job.communicate()


@pytest.mark.slow
@pytest.mark.fault
def test_ctrl_c_is_tidy_and_the_same_command_goes_on(
    started: subprocess.Popen[str], source: Path, tmp_path: Path
) -> None:
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=120)
    assert started.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out/manifest.json").exists()
    rerun = run("source", "out", "--part-rows", PART_ROWS, cwd=tmp_path)
    assert rerun.returncode == 0, rerun.stderr
    ids = ids_of(tmp_path / "out")
    assert sorted(ids) == sorted(f"{number}.png" for number in range(LONG))


@pytest.mark.slow
@pytest.mark.fault
def test_killed_at_the_worst_moments_and_run_again(
    source: Path, tmp_path: Path, local_ray: None
) -> None:
    """A worker between its shards and its part file, a driver before and between its manifests."""
    flags = ("--part-rows", "4", "--val-share", "0.3")
    whole = within(prepare.main, "source", "whole", *flags, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    points = KillPoints(tmp_path / "points")
    for at in (("before part-*.json", "before manifest.json"), ("after manifest.json",)):
        killed = points.run(JOB, "source", "out", *flags, at=at, cwd=tmp_path)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert points.left() == set()
    done = within(prepare.main, "source", "out", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for split in ("train", "val"):
        expected, found = (load_manifest(str(tmp_path / out / split)) for out in ("whole", "out"))
        assert found == expected, "the very data of a job that was never disturbed"
    ids = Counter(id for split in ("train", "val") for id in ids_of(tmp_path / "out" / split))
    assert ids == Counter(f"{number}.png" for number in range(40))


@pytest.mark.nightly
@pytest.mark.fault
def test_killed_at_many_moments_every_sample_is_there_once(source: Path, tmp_path: Path) -> None:
    with (source / "labels.tsv").open("a") as labels:
        for number in range(40, KILLED_LONG):
            (source / f"{number}.png").hardlink_to(source / f"{number % 40}.png")
            labels.write(f"{number}.png\t{number}\n")
        labels.write("none.png\tx\n0.png\tagain\n")
    flags = ("--part-rows", "100", "--val-share", "0.3")
    whole = run("source", "whole", *flags, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, str(JOB), "source", "out", *flags]
    rng, killed = random.Random(7), Counter[str]()
    kinds = ("driver", "worker", "everything", "decoder", "driver", "everything", "worker")
    for kind in kinds:
        before = parts(tmp_path / "out")
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL
        ) as job:
            while job.poll() is None and parts(tmp_path / "out") == before:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 1))
            victims = []
            while job.poll() is None and not victims:
                victims = [process.pid for process in VICTIMS[kind](job.pid)]
            killed[kind] += job.poll() is None and bool(victims)
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if kind in ("worker", "decoder"):  # made up for; the job is to die all the same
                time.sleep(rng.uniform(0, 1))
                job.kill()
            job.wait(timeout=300)
    assert set(killed) == set(VICTIMS), killed
    assert all(killed.values()), killed
    assert not (tmp_path / "out/val/manifest.json").exists(), "it was to be killed before its end"
    done = run(*command[2:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for split in ("train", "val"):
        expected, found = (load_manifest(str(tmp_path / out / split)) for out in ("whole", "out"))
        assert found == expected, "the very data of a job that was never disturbed"
    everywhere = Counter(
        id for split in ("train", "val") for id in ids_of(tmp_path / "out" / split)
    )
    assert everywhere == Counter(f"{number}.png" for number in range(KILLED_LONG))


def parts(out: Path) -> set[Path]:
    return set(out.glob("*/_parts/part-*.json"))


def ids_of(folder: Path) -> list[str]:
    return [
        name
        for shard in load_manifest(str(folder)).shards
        for group in range(len(shard.row_groups))
        for name in read_row_group(str(folder), shard.name, group, ["id"])["id"].to_pylist()
    ]
