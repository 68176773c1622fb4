"""On a cluster that was there before: submitted jobs, logs and statuses; data and runs on S3."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crnn import storage
from crnn.bundle import load_bundle
from tests.jobs.processes import Process, look, with_argument
from tests.jobs.runs import PROJECT, TINY, environment, run, wait_until, without_control_characters
from tests.pipelines.stream.sets import good, write_set

pytestmark = pytest.mark.slow

RAY = Path(sys.executable).with_name("ray")
SHORT = ("--epochs", "1", "--batch-pixels", str(16 * 32 * 64), *TINY)


@dataclass(frozen=True)
class Head:
    """A head node started in the project's folder."""

    dashboard: str
    folder: Path
    """With a set and a validation set in it."""

    def submit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``ray job submit`` as a user types it, in the project's folder."""
        return ray("job", "submit", "--address", self.dashboard, *arguments)


def ray(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The ``ray`` command in the project's folder, with the virtual environment activated."""
    path = os.pathsep.join([str(RAY.parent), os.environ["PATH"]])
    return subprocess.run(
        [str(RAY), *arguments],
        cwd=PROJECT,
        env=environment({"RAY_AUTH_MODE": "disabled", "PATH": path}),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("cluster")
    write_set(folder / "set", good(60))
    write_set(folder / "val", good(10))
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp", ignore_cleanup_errors=True) as own:
        port = free_port()
        try:
            begun = ray(
                *("start", "--head", "--port", free_port(), "--dashboard-port", port),
                *("--temp-dir", own, "--num-cpus", "3", "--ray-client-server-port", free_port()),
                *("--dashboard-agent-listen-port", free_port(), "--disable-usage-stats"),
            )
            assert begun.returncode == 0, begun.stdout + begun.stderr
            yield Head(dashboard=f"http://127.0.0.1:{port}", folder=folder)
        finally:
            end(with_argument(own), log=folder)


def end(processes: list[Process], *, log: Path) -> None:
    """Kills these processes of the cluster, and no other Ray on the machine."""
    for process in processes:
        if look(process.pid) == process:
            os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(process.runs() for process in processes), log=log)


@pytest.mark.parametrize("working_dir", [(), ("--working-dir", ".")])
def test_a_submitted_job_trains(head: Head, working_dir: tuple[str, ...]) -> None:
    name = "submitted-with-folder" if working_dir else "submitted"
    done = head.submit(
        *working_dir,
        *("--", "python", "jobs/train.py", "--data", f"{head.folder}/set"),
        *("--val", f"{head.folder}/val", "--storage-path", f"{head.folder}/runs", "--name", name),
        *SHORT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ours = own_lines(done.stdout)
    assert "complete after" in ours
    assert without_control_characters(ours)
    assert load_bundle(f"{head.folder}/runs/{name}/bundle").name == name


def own_lines(output: str) -> str:
    """What the job printed, without the lines of ``ray job submit`` around it."""
    lines = output.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(("run ", "error: ")))
    last = max(i for i, line in enumerate(lines) if line.startswith(("complete ", "error: ")))
    return "\n".join(lines[first : last + 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--data {home}/none", ["error: there is no", "none"]),
        (
            "--data {home}/set --num-workers 50 --placement-wait-s 1",
            ["error: asked for 50 worker(s) of", "the cluster has 3 CPU", "Lower --num-workers"],
        ),
    ],
)
def test_a_failing_job_fails(head: Head, arguments: str, words: list[str]) -> None:
    flags = arguments.format(home=head.folder).split()
    storage_path = ("--storage-path", f"{head.folder}/failed")
    done = head.submit("--", "python", "jobs/train.py", *storage_path, *flags)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    for word in words:
        assert word in done.stdout
    assert not (head.folder / "failed").exists()


def test_data_and_runs_on_s3(new_bucket: Callable[[], str], tmp_path: Path) -> None:
    bucket = new_bucket()
    for name, rows in (("set", good(60)), ("val", good(10))):
        storage.upload_folder(Path(write_set(tmp_path / name, rows)), f"{bucket}/data/{name}")
    command = (
        *("--data", f"{bucket}/data/set", "--val", f"{bucket}/data/val"),
        *("--storage-path", f"{bucket}/runs", "--name", "a", "--num-workers", "2", *SHORT),
    )
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = f"{bucket}/runs/a"
    assert load_bundle(f"{folder}/bundle").name == "a"
    assert json.loads(storage.read_bytes(f"{folder}/report.json"))["total"]["count"] == 10
    for name in ("done.json", "curves.png", "rejects.parquet", "report.html", "config.yaml"):
        assert storage.exists(f"{folder}/{name}"), name
    assert list(storage.list_files(f"{folder}/tensorboard", recursive=True))
    assert "run a is complete" in run(*command, cwd=tmp_path).stdout
