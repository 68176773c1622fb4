"""What the audit files of a run prove: which samples were trained on, and what became of it.

Every start of the worker group leaves one file a rank. A later start begins at a checkpoint:
steps beyond it were lost and are repeated; steps up to it survive in the weights.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.training.audit import AUDIT_FOLDER


@dataclass
class Start:
    """One start of the workers: the steps that each rank took, and the checkpoints."""

    began: float
    steps: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    checkpoints: set[int] = field(default_factory=set)

    @property
    def ranks(self) -> int:
        return len(self.steps)

    @property
    def first_step(self) -> int | None:
        """The number of its first step; None when it took none."""
        numbers = [entry["step"] for entries in self.steps.values() for entry in entries]
        return min(numbers, default=None)

    def samples_of(self, rank: int) -> int:
        return sum(len(entry["ids"]) for entry in self.steps[rank])

    def ids(self, epoch: int, *, first: int = 0, past_last: float = float("inf")) -> Counter[str]:
        """The samples of an epoch in the steps from ``first`` up to ``past_last``."""
        return Counter(
            sample_id
            for entries in self.steps.values()
            for entry in entries
            if entry["epoch"] == epoch and first <= entry["step"] < past_last
            for sample_id in entry["ids"]
        )


class Audit:
    """All starts of a run, in order."""

    def __init__(self, run_folder: Path) -> None:
        self.starts: list[Start] = []
        for path in sorted(files(run_folder), key=lambda p: float(p.name.split("-")[0])):
            rank, _ = rank_and_pid(path)
            if not self.starts or rank in self.starts[-1].steps:
                self.starts.append(Start(float(path.name.split("-")[0])))
            entries = read(path)
            start = self.starts[-1]
            start.steps[rank] = [entry for entry in entries if "step" in entry]
            start.checkpoints |= {e["checkpoint"] for e in entries if "checkpoint" in e}

    @property
    def working(self) -> list[Start]:
        """The starts that took a step."""
        return [start for start in self.starts if start.first_step is not None]

    def surviving(self, epoch: int) -> Counter[str]:
        """Samples of an epoch that the final weights have seen, with how often."""
        return sum((s.ids(epoch, past_last=end) for s, end in self._ends()), Counter[str]())

    def lost(self, epoch: int) -> Counter[str]:
        """Samples of an epoch in steps that came after the checkpoint gone back to."""
        parts = (s.ids(epoch, first=int(end)) for s, end in self._ends() if end != float("inf"))
        return sum(parts, Counter[str]())

    def trained(self, epoch: int) -> Counter[str]:
        """Every time that a sample of the epoch was in a step, lost or not."""
        return sum((s.ids(epoch) for s in self.starts), Counter[str]())

    def _ends(self) -> list[tuple[Start, float]]:
        """Each start with the step at which the next one took over."""
        following = [start.first_step or 0 for start in self.working[1:]]
        return list(zip(self.working, [*following, float("inf")], strict=True))

    def kept_by(self, start: int) -> int:
        """Samples in the weights with which the start of this number (of those that took a
        step) began: all steps before its first one that had not been lost by then."""
        first = self.working[start].first_step or 0
        before = Audit.__new__(Audit)
        before.starts = self.working[:start]
        epochs = {e["epoch"] for s in before.starts for part in s.steps.values() for e in part}
        return sum(
            sum(s.ids(epoch, past_last=min(end, first)).values())
            for epoch in epochs
            for s, end in before._ends()
        )


def files(run_folder: Path) -> list[Path]:
    return list((run_folder / AUDIT_FOLDER).glob("*.jsonl"))


def rank_and_pid(path: Path) -> tuple[int, int]:
    _, rank, pid = path.stem.rsplit("-", 2)
    return int(rank.removeprefix("rank")), int(pid.removeprefix("pid"))


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a kill may have cut the last one."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def committed_samples(run_folder: Path) -> int:
    """Samples behind the latest checkpoint that Ray Train has taken note of; 0 for none."""
    path = run_folder / "checkpoint_manager_snapshot.json"
    if not path.exists():
        return 0
    try:
        latest = json.loads(path.read_text())["latest_checkpoint_result"]
    except json.JSONDecodeError:  # it is being written
        return 0
    return int(latest["metrics"]["samples"]) if latest else 0
