"""Progress from the workers to the job's terminal: one line that says how far it is.

Rank 0 posts to a small actor; a thread beside the driver reads it, and rewrites one line on
a terminal or prints plain lines, without control characters, into a log.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from jobs.progress import clock
from jobs.training.tracking import Tracker

_TERMINAL_EVERY_S = 0.5
_LOG_EVERY_S = 10.0


@ray.remote(num_cpus=0)
class ProgressBoard:
    """Holds the latest figures and the lines not yet shown."""

    def __init__(self) -> None:
        self._latest: dict[str, Any] = {}
        self._lines: list[str] = []
        self._measured: list[dict[str, float]] = []

    def post(self, figures: dict[str, Any]) -> None:
        """Replaces the figures."""
        self._latest = figures

    def say(self, line: str) -> None:
        """A line to keep: a validation, a rejected sample, a restart."""
        self._lines.append(line)

    def measured(self, figures: dict[str, float]) -> None:
        """The figures of a validation."""
        self._measured.append(figures)

    def read(self) -> tuple[dict[str, Any], list[str], list[dict[str, float]]]:
        """The figures, and the lines and validations since the last call."""
        lines, self._lines = self._lines, []
        measured, self._measured = self._measured, []
        return self._latest, lines, measured


def new_board() -> Any:
    """A board on the driver's own node: the run goes on, and is seen, when another one dies."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ProgressBoard.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]


class BoardReader:
    """Shows a board until closed; a context manager."""

    def __init__(self, board: Any, tracker: Tracker) -> None:
        self._board, self._tracker = board, tracker
        self._terminal = sys.stdout.isatty()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._width = 0
        self._shown_at = 0.0
        self._shown: dict[str, Any] = {}

    def __enter__(self) -> BoardReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=5)
        if self._width:
            print(flush=True)

    def _follow(self) -> None:
        while not self._closed.wait(_TERMINAL_EVERY_S):
            self._show_once()
        self._show_once()

    def _show_once(self) -> None:
        try:
            figures, lines, measured = ray.get(self._board.read.remote(), timeout=5)
        except (ray.exceptions.RayError, ConnectionError):
            return
        for validation in measured:
            self._tracker.metrics(validation)
        for line in lines:
            self._wipe()
            print(line, flush=True)
        if not figures or figures == self._shown:
            return
        if self._terminal:
            self._rewrite(describe(figures))
        elif time.monotonic() - self._shown_at >= _LOG_EVERY_S:
            print(describe(figures), flush=True)
            self._shown_at = time.monotonic()
        self._shown = figures

    def _rewrite(self, text: str) -> None:
        print("\r" + text.ljust(self._width), end="", flush=True)
        self._width = len(text)

    def _wipe(self) -> None:
        if self._width:
            print("\r" + " " * self._width + "\r", end="")
            self._width = 0


def describe(figures: dict[str, Any]) -> str:
    """``epoch 2/4  38%  loss 0.413  words 81.2%  412 images/s  1:45 left``."""
    accuracy = figures.get("val_exact")
    parts = [
        f"epoch {figures['epoch'] + 1}/{figures['epochs']}",
        f"{figures['share']:4.0%}",
        f"loss {figures['loss']:.3f}",
        f"words {accuracy:.1%}" if accuracy is not None else "words –",
        f"{figures['images_per_s']:,.0f} images/s",
        f"{clock(figures['left_s']) if figures['images_per_s'] else '–'} left",
    ]
    if figures.get("skipped"):
        parts.append(f"{figures['skipped']} steps skipped")
    return "  ".join(parts)
