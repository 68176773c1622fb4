"""Which tests run in one worker of pytest-xdist, and in which order the groups begin.

Tests of a file stay together, and so do all that share a cluster; where each test has a cluster of
its own, each is a group. Those that take minutes begin first, so that no worker is left with one
at the end while the others rest.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
SHARED = {
    "ray": re.compile(r"\blocal_ray\b"),
    "service": re.compile(r"def (test_\w+|client|triton)\([^)]*\bservice: Service\b"),
    "export": re.compile(r"\bsharp_onnx\b"),
    "strict": re.compile(r"def \w+\([^)]*\b(strict|guarded): Service\b"),
}
"""How a file shows that its tests share what takes seconds to start or to make."""
CLUSTERS = ("local_ray", "service", "strict")
"""The fixtures of a session that are clusters, each of one group's tests."""
_IN = " in "
APART = {
    "tests/jobs/serving/test_serve_cluster.py",
    "tests/jobs/serving/test_serve_deploy.py",
    "tests/jobs/serving/test_serve_faults.py",
    "tests/jobs/test_recognize_cluster.py",
    "tests/jobs/test_train_faults.py",
}
"""Files whose tests share nothing: each starts a cluster of its own, for a minute or more."""
LONG = {"tests/jobs/serving/test_bulk_jobs.py", "tests/jobs/test_train_cluster.py"}
"""Files whose few tests share a cluster, and take minutes together."""


class ByCluster(LoadFileScheduling):
    """As ``--dist loadfile``, by ``group_of``, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """By groups: many files that share a cluster, then what takes minutes, then by tests."""
    sizes = Counter(group_of(item.nodeid) for item in items)

    def rank(item: pytest.Item) -> tuple[int, int, str]:
        group = group_of(item.nodeid)
        takes_minutes = "::" in group or group in LONG
        return 0 if _IN in group else 1 if takes_minutes else 2, -sizes[group], group

    return sorted(items, key=rank)


def group_of(nodeid: str) -> str:
    """The group of a test: itself, its file, or the cluster that its file shares with others."""
    file = nodeid.partition("::")[0]
    return nodeid if file in APART else _shared(file)


@cache
def _shared(file: str) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    found = next((group for group, shows in SHARED.items() if shows.search(text)), "")
    folder = file.split("/")[1]  # jobs and pipelines, so that two workers have something to do
    return f"{found}{_IN}{folder}" if found else file
