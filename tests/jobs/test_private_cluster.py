"""No job opens the machine to its network, nor its own cluster to others on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.listening import listening
from tests.jobs.nodes import head_node
from tests.jobs.processes import descendants
from tests.jobs.runs import PROJECT, TINY, environment, run
from tests.pipelines.evaluation_cases import digits, random_bundle, rendered
from tests.pipelines.evaluation_cases import write_set as prepared_digits
from tests.pipelines.stream.sets import good, write_set


def prepare(folder: Path) -> tuple[str, ...]:
    _pictures(folder / "source")
    lines = [f"{number}.png\t{number}\n" for number in range(20)]
    (folder / "source" / "labels.tsv").write_text("".join(lines))
    return "prepare.py", "source", "out"


def recognize(folder: Path) -> tuple[str, ...]:
    random_bundle(folder / "bundle")
    _pictures(folder / "source")
    return "recognize.py", "--bundle", "bundle", "--input", "source", "--output", "out"


def evaluate(folder: Path) -> tuple[str, ...]:
    random_bundle(folder / "bundle")
    prepared_digits(folder / "set", digits(20, seed=1))
    return "evaluate.py", "--bundle", "bundle", "--data", "set"


def inspect(folder: Path) -> tuple[str, ...]:
    prepared_digits(folder / "set", digits(20, seed=1))
    return "inspect_data.py", "set", "--out", "report"


def synthesize(folder: Path) -> tuple[str, ...]:
    return "synthesize.py", "out", "--count", "20", "--no-system-fonts"


def train(folder: Path) -> tuple[str, ...]:
    write_set(folder / "set", good(60))
    return ("train.py", "--data", "set", "--val", "set", "--name", "first", "--num-workers", "2",
            "--epochs", "1", *TINY)  # fmt: skip


def _pictures(folder: Path) -> None:
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(rendered(str(number)))


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(recognize, marks=pytest.mark.slow),
     *(pytest.param(job, marks=pytest.mark.nightly)  # train: see also test_train_faults
       for job in (train, prepare, evaluate, inspect, synthesize))],
)  # fmt: skip
def test_a_job_listens_on_this_machine_alone_and_its_cluster_asks_for_a_token(
    tmp_path: Path, arguments: Callable[[Path], tuple[str, ...]]
) -> None:
    script, *rest = arguments(tmp_path)
    variables = environment({"HOME": str(tmp_path)})
    del variables["RAY_AUTH_MODE"]
    here: dict[str, set[int]] = defaultdict(set)
    beyond: dict[str, set[int]] = defaultdict(set)
    modes: set[str] = set()
    with (tmp_path / "log").open("wb") as log:
        job = subprocess.Popen(
            [sys.executable, str(PROJECT / "jobs" / script), *rest],
            cwd=tmp_path,
            env=variables,
            stdout=log,
            stderr=log,
        )
        while job.poll() is None:
            processes = {process.pid: process.name for process in descendants(job.pid)}
            for pid, (closed, opened) in listening([job.pid, *processes]).items():
                here[processes.get(pid, "the job")] |= closed
                beyond[processes.get(pid, "the job")] |= opened
            modes |= {_mode(pid) for pid, name in processes.items() if name == "raylet"}
            time.sleep(0.02)
    said = (tmp_path / "log").read_text(errors="replace")
    assert job.returncode == 0, said
    assert here["gcs_server"] and here["raylet"], "nothing was looked at"
    assert not {name: ports for name, ports in beyond.items() if ports}
    assert "token of 64" in modes and modes <= {"token of 64", ""}, modes
    assert not (tmp_path / ".ray").exists()
    assert "RAY_AUTH_MODE" not in said and "note:" not in said


def _mode(pid: int) -> str:
    """What a process asks of others; nothing once it has ended, or before it began."""
    try:
        text = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""
    found = dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
    return (
        f"{found.get('RAY_AUTH_MODE')} of {len(found.get('RAY_AUTH_TOKEN', ''))}" if found else ""
    )


@pytest.mark.slow
def test_a_cluster_without_a_token_is_said_so(tmp_path: Path) -> None:
    script, *rest = prepare(tmp_path)
    job, words = PROJECT / "jobs" / script, "note: the Ray cluster at"
    with head_node(tmp_path, cpus=2) as head:
        done = run(*rest, "--address", head.address, cwd=tmp_path, job=job,
                   extra={"RAY_AUTH_MODE": "disabled"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{words} {head.address} asks for no token" in done.stderr


def test_an_operator_s_own_choice_stands_and_is_said(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs import private_cluster

    names = ("RAY_AUTH_TOKEN", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    for name in names:
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    private_cluster.close_it()
    assert "anyone with an account on this machine can run code" in capfd.readouterr().err
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert os.environ["GLOO_SOCKET_IFNAME"] == "lo"


@pytest.mark.slow
def test_the_store_of_ranks_listens_on_this_machine_alone() -> None:
    """Where PyTorch's own is reached from everywhere."""
    program = """
import os, sys
import torch.distributed as dist
from jobs.training.meeting import confine
from tests.jobs.listening import listening
from tests.jobs.nodes import free_port
if sys.argv[1] == "confined":
    confine()
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port(), GLOO_SOCKET_IFNAME="lo")
dist.init_process_group("gloo", init_method="env://", rank=0, world_size=1)
here, beyond = listening([os.getpid()])[os.getpid()]
port = int(os.environ["MASTER_PORT"])
print(port in here, port in beyond, len(beyond))
"""
    for how, expected in (("confined", "True False 0"), ("usual", "False True 1")):
        done = subprocess.run(
            [sys.executable, "-c", program, how],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected
