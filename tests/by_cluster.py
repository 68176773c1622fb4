"""Which tests run in one worker of pytest-xdist: those of a file, and all that share a cluster."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler.loadfile import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
SHARED = {
    "ray": re.compile(r"\blocal_ray\b"),
    "service": re.compile(r"def (test_\w+|client|triton)\([^)]*\bservice: Service\b"),
    "strict": re.compile(r"def \w+\([^)]*\b(strict|guarded): Service\b"),
}
"""How a file shows that its tests use a fixture of the session that takes seconds to start."""


class ByCluster(LoadFileScheduling):
    """As ``--dist loadfile``, but that files whose tests share a cluster count as one."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(super()._split_scope(nodeid))


@cache
def group_of(file: str) -> str:
    """The group of a file: its own name, or the cluster that its tests share with others."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = next((group for group, shows in SHARED.items() if shows.search(text)), "")
    folder = file.split("/")[1]  # jobs and pipelines, so that two workers have something to do
    return f"{found} in {folder}" if found else file
