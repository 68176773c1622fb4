from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pipelines.shards import load_manifest, read_row_group

JOB = Path(__file__).resolve().parents[2] / "jobs" / "prepare.py"

LONG = 500


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


def environment() -> dict[str, str]:
    """Without the project on the path: the job must find itself."""
    hidden = ("PYTHONPATH", "RAY_ADDRESS")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(JOB), *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_from_any_folder_with_relative_paths_and_again(source: Path, tmp_path: Path) -> None:
    command = ("source", "out", "--val-share", "0.25", "--part-rows", "10")
    first = run(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    train, val = (
        load_manifest(str(tmp_path / "out/train")),
        load_manifest(str(tmp_path / "out/val")),
    )
    assert train.count + val.count == 40
    assert "out/train is complete" in first.stdout
    assert "/s, 0:00 left, 0 rejects" in first.stdout
    assert all(character.isprintable() or character == "\n" for character in first.stdout)
    again = run(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("was complete already, nothing done") == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("nowhere", "out"), 1, "error: there is no folder"),
        (("source", "source"), 1, "error: "),
        (("source", "out", "--val-share", "2"), 2, "--val-share"),
        (("source", "out", "--format", "lmdb"), 2, "lmdb"),
        (("source", "out", "--no-such-flag"), 2, "no-such-flag"),
        (("http://host/x", "out"), 2, "scheme"),
    ],
)
def test_bad_arguments_and_bad_data(
    source: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    outcome = run(*arguments, cwd=tmp_path)
    assert outcome.returncode == status
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def started(source: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A job with its first parts done and hundreds to do: it can't end before it is killed."""
    with (source / "labels.tsv").open("a") as labels:
        for number in range(40, LONG):
            (source / f"{number}.png").hardlink_to(source / f"{number % 40}.png")
            labels.write(f"{number}.png\t{number}\n")
    command = [sys.executable, str(JOB), "source", "out", "--part-rows", "1"]
    job = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("out/_parts/part-*.json")):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield job
    job.kill()
    job.communicate()


@pytest.mark.fault
def test_killed_in_the_middle_and_run_again(
    started: subprocess.Popen[str], source: Path, tmp_path: Path
) -> None:
    started.kill()
    started.wait()
    assert not (tmp_path / "out/manifest.json").exists()
    rerun = run("source", "out", "--part-rows", "1", cwd=tmp_path)
    assert rerun.returncode == 0, rerun.stderr
    manifest = load_manifest(str(tmp_path / "out"))
    ids = [
        name
        for shard in manifest.shards
        for name in read_row_group(str(tmp_path / "out"), shard.name, 0, ["id"])["id"].to_pylist()
    ]
    assert sorted(ids) == sorted(f"{number}.png" for number in range(LONG))


@pytest.mark.fault
def test_ctrl_c_is_tidy(started: subprocess.Popen[str], source: Path, tmp_path: Path) -> None:
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=120)
    assert started.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
