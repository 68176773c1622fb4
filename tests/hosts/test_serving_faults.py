"""A service while a node with a replica dies: who is refused, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crnn import Recognizer
from tests.hosts.cluster import SERVE_PORT, Cluster
from tests.hosts.jobs import Job, submitted
from tests.hosts.machines import Host
from tests.jobs.serving.loads import Load, load, until
from tests.jobs.serving.services import word_pictures

pytestmark = [pytest.mark.nightly, pytest.mark.hosts, pytest.mark.fault]
PICTURES = word_pictures(20)
PATIENT = 12
"""Tries of a client that outlives the start of a replica."""


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Job]:
    """The bundle that is the default, on two replicas."""
    flags = ("--host", "0.0.0.0", "--port", str(SERVE_PORT))
    number = ("--min-replicas", "2", "--max-replicas", "2")
    with submitted(cluster, folder, "jobs/serve.py", *flags, *number) as job:
        job.until(lambda: "ready; Ctrl-C ends it" in job.text)
        yield job
        job.stop(cluster)


def right_texts() -> list[frozenset[str]]:
    results = Recognizer.load(threads=1).read(PICTURES)
    return [frozenset([result.text]) for result in results]


def replicas(cluster: Cluster) -> list[Host]:
    """Hosts by replica."""
    return [
        host
        for host in cluster.workers
        for name in host.process_names()
        if name.startswith("ray::ServeRepli")
    ]


def goes_on(running: Load, count: int = 100) -> None:
    """Until so many more were read."""
    before = running.read
    until(lambda: running.read >= before + count)


@dataclass
class Recovery:
    """What clients that never try again saw of a fault, in seconds after it."""

    last_error_s: float = 0.0
    longest_pause_s: float = 0.0
    """Without an answer to anyone."""
    whole_s: float = 0.0


def recovery(running: Load, is_whole: Callable[[], bool]) -> Recovery:
    """Watches from the fault on, until all is whole and no request failed among the last 100."""
    found, began = Recovery(), time.monotonic()
    read, errors, read_at_error, answered_s = running.read, 0, running.read, began
    while True:
        now = time.monotonic()
        assert now < began + 400
        if running.read > read:
            found.longest_pause_s = max(found.longest_pause_s, now - answered_s)
            read, answered_s = running.read, now
        if len(running.errors) > errors:
            errors, read_at_error = len(running.errors), running.read
            found.last_error_s = now - began
        if not found.whole_s and is_whole():
            found.whole_s = now - began
        if found.whole_s and running.read >= read_at_error + 100:
            return found
        time.sleep(0.05)


def test_a_killed_node(cluster: Cluster, tmp_path: Path) -> None:
    """Clients that try again notice nothing; what the others do is shown (pytest -s)."""
    with serving(cluster, tmp_path):
        before = replicas(cluster)
        assert len(set(before)) == 2, "on nodes of their own"
        with (
            load(cluster.service, PICTURES, right_texts(), callers=4, retries=PATIENT) as patient,
            load(cluster.service, PICTURES, right_texts(), callers=4) as running,
        ):
            goes_on(running)
            goes_on(patient)
            read = running.read
            before[0].kill()
            found = recovery(running, lambda: len(set(replicas(cluster)) - {before[0]}) == 2)
            goes_on(patient)
        print(
            f"\nof {running.read - read + len(running.errors)} requests after the kill "
            f"{len(running.errors)} failed, the last {found.last_error_s:.1f} s after it; longest "
            f"pause {found.longest_pause_s:.1f} s; two replicas after {found.whole_s:.1f} s"
        )
    assert patient.errors == []
    assert patient.wrong == []
    assert running.wrong == []
