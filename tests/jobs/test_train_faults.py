"""Workers and drivers killed in mid-epoch: training goes on, and every sample is accounted for."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.jobs import audits
from tests.jobs.audits import Audit, committed_samples
from tests.jobs.listening import listening
from tests.jobs.nodes import end
from tests.jobs.processes import Process, descendants, look
from tests.jobs.runs import TINY, started, wait_until, without_control_characters
from tests.pipelines.stream.sets import good, write_set

pytestmark = [pytest.mark.slow, pytest.mark.fault]

SAMPLES, EPOCHS, BATCH, CHECKPOINT_EVERY = 320, 2, 4, 80
AGENTS = ("ray::DashboardA", "ray::RuntimeEnv")
"""Ray's own, which look for their dead control store for a minute before they end."""
EACH_ONCE = Counter(f"good-{i}" for i in range(SAMPLES))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", good(SAMPLES))
    write_set(tmp_path / "val", good(10))
    return tmp_path


def command(workers: str) -> tuple[str, ...]:
    return (
        *("--data", "set", "--val", "val", "--name", "a", "--num-workers", workers, "--audit"),
        *("--epochs", str(EPOCHS), "--batch-pixels", str(BATCH * 32 * 64), *TINY),
        *("--checkpoint-every", str(CHECKPOINT_EVERY)),
    )


def in_mid_epoch(run_folder: Path, epoch: int, rank: int) -> int:
    """The process of a rank that is some steps past a checkpoint of this epoch; 0 for none."""
    for path in sorted(audits.files(run_folder), reverse=True):
        found_rank, pid = audits.rank_and_pid(path)
        entries = audits.read(path)
        begun = [i for i, entry in enumerate(entries) if entry.get("epoch") == epoch]
        if found_rank != rank or not begun or not look(pid):
            continue
        since = entries[begun[0] :]
        saved = [i for i, entry in enumerate(since) if "checkpoint" in entry]
        if saved and len(since) - saved[-1] > 3 and committed_samples(run_folder):
            return pid
    return 0


def stopped_in_mid_epoch(run_folder: Path, epoch: int, rank: int) -> int:
    """As ``in_mid_epoch``, held there by SIGSTOP: its rank takes no further step."""
    if not (pid := in_mid_epoch(run_folder, epoch, rank)):
        return 0
    os.kill(pid, signal.SIGSTOP)
    if in_mid_epoch(run_folder, epoch, rank) == pid:
        return pid
    os.kill(pid, signal.SIGCONT)  # it has reached a checkpoint meanwhile
    return 0


def hold(job: subprocess.Popen[bytes], home: Path, epoch: int, rank: int) -> int:
    """Waits until the rank is in mid-epoch, and holds it there; its process."""
    held: list[int] = []

    def there() -> bool:
        held[:] = [stopped_in_mid_epoch(home / "runs" / "a", epoch, rank)]
        return held[0] > 0

    wait_until(there, job=job, log=home / "log")
    return held[0]


def accounted(run_folder: Path, *, starts: int) -> Audit:
    """Nothing lost of any epoch, and repeated only what came after the last checkpoint."""
    audit = Audit(run_folder)
    assert len(audit.working) == starts
    for epoch in range(EPOCHS):
        assert audit.surviving(epoch) == EACH_ONCE
        assert audit.trained(epoch) == EACH_ONCE + audit.lost(epoch)
    assert sum(sum(audit.lost(epoch).values()) for epoch in range(EPOCHS)) > 0, "killed too late"
    return audit


def test_a_killed_worker_and_then_a_killed_driver_cost_only_the_steps_since_the_checkpoint(
    home: Path,
) -> None:
    folder, log = home / "runs" / "a", home / "log"
    with started(*command("2"), cwd=home) as job:
        os.kill(hold(job, home, 0, rank=1), signal.SIGKILL)
        of_worker = committed_samples(folder)
        kill_driver(job, home, 1, patient=False)
    of_driver = committed_samples(folder)
    text = log.read_text()
    assert re.search(r"^workers? (0, )?1 stopped: ActorDiedError: .+$", text, re.MULTILINE), text
    assert "resumed at epoch 1" in text
    assert not (folder / "done.json").exists()
    with started(*command("1"), cwd=home) as job:
        status = job.wait(timeout=400)
    text = log.read_text()
    assert status == 0, text
    assert "Traceback" not in text
    assert without_control_characters(text)
    assert text.count("resuming a\n") == 1
    assert "on 1 worker(s) (the checkpoint had 2)" in text
    audit = accounted(folder, starts=3)
    assert [start.ranks for start in audit.working] == [2, 2, 1]
    assert audit.kept_by(1) >= of_worker
    assert audit.kept_by(2) == of_driver, "from the last checkpoint noted"


@pytest.mark.nightly
@pytest.mark.parametrize("workers", ["2", "1:2"])
def test_a_killed_worker_costs_only_the_steps_since_the_checkpoint(
    home: Path, workers: str
) -> None:
    folder, log = home / "runs" / "a", home / "log"
    with started(*command(workers), cwd=home) as job:
        os.kill(hold(job, home, 1, rank=1), signal.SIGKILL)
        committed = committed_samples(folder)
        status = job.wait(timeout=400)
    text = log.read_text()
    assert status == 0, text
    assert "Traceback" not in text
    assert without_control_characters(text)
    assert re.search(r"^workers? (0, )?1 stopped: ActorDiedError: .+$", text, re.MULTILINE), text
    assert "resumed at epoch 2" in text
    assert (folder / "done.json").exists()
    audit = accounted(folder, starts=2)
    assert audit.working[0].ranks == 2
    # At least the checkpoint known when the worker died; Ray Train may have been about to note one.
    assert audit.kept_by(1) >= committed
    assert (audit.working[1].first_step or 0) - 1 in audit.working[0].checkpoints


@pytest.mark.nightly
def test_more_failures_than_allowed_end_the_run_with_a_message(home: Path) -> None:
    folder, log = home / "runs" / "a", home / "log"
    with started(*command("2"), "--max-failures", "0", cwd=home) as job:
        os.kill(hold(job, home, 0, rank=1), signal.SIGKILL)
        status = job.wait(timeout=300)
    text = log.read_text()
    assert status == 1, text
    assert re.search(
        r"^error: training failed more often than --max-failures 0 allows, the last time as "
        r"workers? (0, )?1 stopped: ActorDiedError: ",
        text,
        re.MULTILINE,
    ), text
    assert "Traceback" not in text
    assert not (folder / "done.json").exists()


@pytest.mark.nightly
@pytest.mark.parametrize("epochs", [(0,), (0, 1)])
def test_a_killed_driver_resumes_under_the_same_name_on_any_number_of_workers(
    home: Path, epochs: tuple[int, ...]
) -> None:
    folder, log = home / "runs" / "a", home / "log"
    committed = []
    for epoch in epochs:
        with started(*command("2"), cwd=home) as job:
            kill_driver(job, home, epoch, patient=len(epochs) > 1)
        committed.append(committed_samples(folder))
        assert not (folder / "done.json").exists()
        assert not (folder / "bundle").exists()
    with started(*command("1"), cwd=home) as job:
        status = job.wait(timeout=400)
    text = log.read_text()
    assert status == 0, text
    assert text.count("resuming a\n") == len(epochs)
    assert text.count("resumed at epoch ") == len(epochs)
    assert "on 1 worker(s) (the checkpoint had 2)" in text
    audit = accounted(folder, starts=len(epochs) + 1)
    assert [start.ranks for start in audit.working] == [2] * len(epochs) + [1]
    kept = [audit.kept_by(start) for start in range(1, len(epochs) + 1)]
    assert kept == committed, "from the last checkpoint noted"


def kill_driver(job: subprocess.Popen[bytes], home: Path, epoch: int, *, patient: bool) -> None:
    """Kills the driver in mid-epoch, and sees everything that it started end.

    Ray's agents are waited for only if ``patient``.
    """
    held = hold(job, home, epoch, rank=0)
    family = descendants(job.pid)
    raylets = [process for process in family if "raylet" in process.name]
    assert raylets
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    gone(raylets, home / "log")
    # It can't end by itself while it is held, and let go it could reach another checkpoint.
    with contextlib.suppress(ProcessLookupError):  # the raylet may have taken it along
        os.kill(held, signal.SIGKILL)
    agents = [process for process in family if process.name in AGENTS]
    gone([process for process in family if process not in agents], home / "log")
    if patient:
        gone(agents, home / "log")
    else:
        end(agents, log=home / "log")


def gone(family: list[Process], log: Path) -> None:
    """Waits until every one of them has ended."""
    wait_until(lambda: not any(process.runs() for process in family), log=log)


@pytest.mark.nightly  # test_prepare_job interrupts for every change
def test_an_interrupt_ends_the_job_and_its_processes(home: Path) -> None:
    """None of which, while two ranks train, listens to other machines."""
    with started(*command("2"), cwd=home) as job:
        wait_until(
            lambda: in_mid_epoch(home / "runs" / "a", 0, rank=0) > 0, job=job, log=home / "log"
        )
        family = descendants(job.pid)
        sockets = listening([job.pid, *(process.pid for process in family)])
        assert any(here for here, _ in sockets.values()), "nothing was looked at"
        assert not any(beyond for _, beyond in sockets.values()), sockets
        job.send_signal(signal.SIGINT)
        try:
            assert job.wait(timeout=120) == 130, (home / "log").read_text()
        except subprocess.TimeoutExpired:
            pytest.fail((home / "log").read_text())
        gone(family, home / "log")
    assert "run the same command again to continue" in (home / "log").read_text()
