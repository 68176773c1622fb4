"""On a cluster that was there before: submitted jobs, logs and statuses; data and runs on S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crnn.bundle.bundle import load_bundle
from crnn.files import storage
from jobs import train
from tests.jobs.nodes import Head, head_node
from tests.jobs.runs import TINY, within, without_control_characters
from tests.pipelines.stream.sets import good, write_set

pytestmark = pytest.mark.slow

SHORT = ("--epochs", "1", "--batch-pixels", str(16 * 32 * 64), *TINY)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("cluster")
    write_set(folder / "set", good(60))
    write_set(folder / "val", good(10))
    with head_node(folder, cpus=3) as head:
        yield head


@pytest.mark.nightly  # jobs are submitted to real nodes for every change
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
        pytest.param(
            "--data {home}/none", ["error: there is no", "none"], marks=pytest.mark.nightly
        ),
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


@pytest.mark.nightly  # as those on real nodes are for every change: tests/hosts
def test_data_and_runs_on_s3(
    new_bucket: Callable[[], str], tmp_path: Path, local_ray: None
) -> None:
    bucket = new_bucket()
    for name, rows in (("set", good(60)), ("val", good(10))):
        storage.upload_folder(Path(write_set(tmp_path / name, rows)), f"{bucket}/data/{name}")
    command = (
        *("--data", f"{bucket}/data/set", "--val", f"{bucket}/data/val"),
        *("--storage-path", f"{bucket}/runs", "--name", "a", "--num-workers", "2", *SHORT),
    )
    done = within(train.main, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = f"{bucket}/runs/a"
    assert load_bundle(f"{folder}/bundle").name == "a"
    assert json.loads(storage.read_bytes(f"{folder}/report.json"))["total"]["count"] == 10
    for name in ("done.json", "curves.png", "rejects.parquet", "report.html", "config.yaml"):
        assert storage.exists(f"{folder}/{name}"), name
    assert list(storage.list_files(f"{folder}/tensorboard", recursive=True))
    assert "run a is complete" in within(train.main, *command, cwd=tmp_path).stdout
