"""Real training runs for the tests: small sets, small models, the job as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import ray
import torch

from crnn import kill_points
from crnn.bundle.bundle import save_bundle
from jobs import cli
from tests.crnn.training.pictures import CHARSET, PICTURE, small_model

PROJECT = Path(__file__).resolve().parents[2]
TRAIN = PROJECT / "jobs" / "train.py"
TINY = (
    *("--charset", "digits", "--model.rnn-hidden", "32", "--picture.widths", "64", "96"),
    *("--threads-per-worker", "1", "--augment.strength", "0", "--optim.ema-decay", "0"),
)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without the project on the path, a cluster, and what ``local_ray`` has set for its own:
    the job must see to all of it. Its workers have the priority of those of other tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and (name in _OF_RAY or not name.startswith("RAY_"))
    }
    return kept | dict(extra or {})


_OF_RAY = ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness")


def run(
    *arguments: str, cwd: Path, job: Path = TRAIN, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The job to its end, its output caught in pipes."""
    return subprocess.run(
        [sys.executable, str(job), *arguments],
        cwd=cwd,
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def within(
    main: Callable[[Sequence[str]], None],
    *arguments: str,
    cwd: Path,
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """As ``run``, in this process, which has imported everything already.

    For what needs no cluster, or runs on that of the fixture ``local_ray``: it may start none.
    """
    out, err, had_cluster = io.StringIO(), io.StringIO(), ray.is_initialized()
    before = dict(os.environ)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(cwd)
        patch.delenv("RAY_ADDRESS", raising=False)
        for name, value in (extra or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["job", *arguments])
        try:
            cli.run(main)
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:  # a job sets some for what it starts
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
    assert ray.is_initialized() == had_cluster, "it started a cluster"
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def here_and_as_a_process(
    main: Callable[[Sequence[str]], None], job: Path, mark: str = "slow"
) -> pytest.MarkDecorator:
    """``job``: ``within`` this process, on ``local_ray``; and ``run`` on its own cluster.

    ``mark``: of the latter; nightly where slow tests start, kill or interrupt the job already.
    """
    return pytest.mark.parametrize(
        "job",
        [
            pytest.param(partial(within, main), id="here"),
            pytest.param(partial(run, job=job), id="process", marks=getattr(pytest.mark, mark)),
        ],
    )


Run = Callable[..., subprocess.CompletedProcess[str]]
"""A job to its end: arguments, and ``cwd``."""


class KillPoints:
    """Moments at which a process of a job is killed; see ``crnn.kill_points``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder

    def run(
        self, job: Path, *arguments: str, at: Sequence[str], cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """The job to its end, whatever it is."""
        for point in at:
            (self._folder / point).touch()
        extra = {kill_points.VARIABLE: str(self._folder)}
        return run(*arguments, cwd=cwd, job=job, extra=extra)

    def left(self) -> set[str]:
        """Those that no process came to."""
        return {point.name for point in self._folder.iterdir()}


@contextmanager
def started(*arguments: str, cwd: Path, job: Path = TRAIN) -> Iterator[subprocess.Popen[bytes]]:
    """The job in the background, its output in ``cwd/log``; killed at the end if it still runs."""
    with (cwd / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(job), *arguments],
            cwd=cwd,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(
    happened: Callable[[], bool], *, job: subprocess.Popen[bytes] | None = None, log: Path
) -> None:
    """Polls; fails when the job ends first, or after minutes, showing its log."""
    deadline = time.monotonic() + 600
    while not happened():
        assert job is None or job.poll() is None, log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.05)


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """The status, and a message without a traceback that holds these words."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    shown = " ".join(done.stderr.replace("│", " ").split())
    for word in words:
        assert word in shown, done.stderr


def without_control_characters(text: str) -> bool:
    """Whether a log can be read without a terminal."""
    return all(character.isprintable() or character in "\n\t" for character in text)


def tiny_bundle(folder: Path) -> str:
    """A bundle of untrained weights; its address."""
    torch.manual_seed(3)
    save_bundle(
        folder,
        model=small_model().eval(),
        charset=CHARSET,
        picture=PICTURE,
        name="untrained",
        data_digest="none",
        metrics={},
    )
    return str(folder)
