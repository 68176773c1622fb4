"""What a run has shown so far: curves and validations; kept in every checkpoint.

Rank 0 owns the curves. Validations and early stopping are kept by every rank, from figures
that are equal on all of them.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from typing import Any

from crnn.files import storage
from crnn.training.step import StepResult
from crnn.training.trainer import Trainer, Validation
from jobs.progress import clock

NOT_VALIDATED = -1.0
_POST_EVERY_S = 0.5
_POINT_EVERY_S = 1.0
_MAX_POINTS = 4000
_RATE_WINDOW_S = 15.0
_LOSS_MEMORY = 0.95
_KEPT = ("points", "validations", "examples", "stopped_early", "train_s")


class History:
    """Curves and counters of one run, from its first start on."""

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []
        self.validations: list[dict[str, Any]] = []
        self.examples: list[tuple[str, str]] = []
        self.stopped_early = False
        self.train_s = 0.0
        self._without_gain = 0
        self._reported_samples = -1
        self._loss: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._posted_at = self._pointed_at = 0.0
        self._figures: dict[str, Any] = {}

    # what rank 0 sees of each step

    def step(self, trainer: Trainer, result: StepResult, *, epoch: int) -> None:
        """Takes in a step's figures."""
        now, progress = time.monotonic(), trainer.progress
        if not result.skipped and result.samples:
            loss = result.loss_sum / result.samples
            before = loss if self._loss is None else self._loss
            self._loss = _LOSS_MEMORY * before + (1 - _LOSS_MEMORY) * loss
        if self._recent:
            self.train_s += now - self._recent[-1][0]
        self._recent.append((now, progress.samples))
        while now - self._recent[0][0] > _RATE_WINDOW_S:
            self._recent.popleft()
        rate = self._rate()
        left = max(0, trainer.total_samples - progress.samples)
        self._figures = {
            "epoch": epoch,
            "share": min(1.0, trainer.share_done),
            "samples": progress.samples,
            "loss": self._loss or 0.0,
            "lr": trainer.optimizer.param_groups[0]["lr"],
            "grad_norm": result.grad_norm,
            "images_per_s": rate,
            "left_s": left / rate if rate else 0.0,
            "skipped": progress.skipped,
            "val_exact": self.validations[-1]["exact"] if self.validations else None,
        }
        if now - self._pointed_at >= _POINT_EVERY_S and not result.skipped:
            self._pointed_at = now
            keys = ("samples", "loss", "lr", "grad_norm", "images_per_s")
            self.points.append({key: self._figures[key] for key in keys})
            if len(self.points) > _MAX_POINTS:
                self.points = self.points[::2]

    def post(self, board: Any, epochs: int) -> None:
        """The latest figures to the board, twice a second at most."""
        if time.monotonic() - self._posted_at >= _POST_EVERY_S:
            self._posted_at = time.monotonic()
            board.post.remote({**self._figures, "epochs": epochs})

    def _rate(self) -> float:
        """Samples a second over the last steps."""
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    # what every rank keeps

    def validated(self, trainer: Trainer, validation: Validation, *, patience: int) -> None:
        """A validation; decides on early stopping."""
        best = max((v["exact"] for v in self.validations), default=NOT_VALIDATED)
        exact = validation.sums.exact_accuracy
        shares = {
            "letters": validation.sums.letters_accuracy,
            "alnum": validation.sums.alnum_accuracy,
        }
        counted = {name: share for name, share in shares.items() if not math.isnan(share)}
        self.examples = validation.examples
        self._without_gain = 0 if exact > best else self._without_gain + 1
        self.stopped_early = bool(patience) and self._without_gain >= patience
        self.validations.append(
            {
                "samples": trainer.progress.samples,
                "loss": validation.loss,
                "count": validation.sums.count,
                "exact": exact,
                **counted,
                "cer": validation.sums.character_error_rate,
                "similarity": validation.sums.normalised_edit_similarity,
            }
        )
        self._recent.clear()  # the pause is not training

    def validation_line(self) -> str:
        """The last validation in one line."""
        last = self.validations[-1]
        best = max(v["exact"] for v in self.validations)
        note = "  best so far" if last["exact"] >= best else f"  best {best:.2%}"
        stop = "  stopping early" if self.stopped_early else ""
        return (
            f"validated on {last['count']:,} at {last['samples']:,} samples, "
            f"{clock(self.train_s)} of training: loss {last['loss']:.4f}  "
            f"words {last['exact']:.2%}  CER {last['cer']:.2%}{note}{stop}"
        )

    def measured(self) -> dict[str, float]:
        """The last validation, with the latest of each curve."""
        curves = self.points[-1] if self.points else {}
        last = {f"val_{key}": float(value) for key, value in self.validations[-1].items()}
        samples = last.pop("val_samples")
        return {**curves, **last, "samples": samples}

    def metrics(self, trainer: Trainer, *, fresh_validation: bool) -> dict[str, float]:
        """What Ray Train keeps of a report; ``score`` ranks checkpoints, unvalidated ones last."""
        self._reported_samples = trainer.progress.samples
        last = self.validations[-1] if self.validations else {}
        return {
            "samples": float(trainer.progress.samples),
            "skipped_steps": float(trainer.progress.skipped),
            "score": float(last["exact"]) if fresh_validation else NOT_VALIDATED,
            **{f"val_{key}": float(value) for key, value in last.items() if key != "samples"},
        }

    def reported_at(self, samples: int) -> bool:
        """Whether the last report was at this point, with a validation."""
        validated = bool(self.validations) and self.validations[-1]["samples"] == samples
        return validated and self._reported_samples == samples

    # keeping it

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        state: dict[str, Any] = {key: getattr(self, key) for key in _KEPT}
        return state | {
            "without_gain": self._without_gain,
            "reported_samples": self._reported_samples,
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> History:
        """The history that ``state_dict`` described."""
        history = cls()
        for key in _KEPT:
            setattr(history, key, state[key])
        history._without_gain = state["without_gain"]
        history._reported_samples = state["reported_samples"]
        return history

    def publish(self, run_uri: str) -> None:
        """The history as ``history.json`` in the run folder, to look at meanwhile."""
        data = json.dumps(self.state_dict(), ensure_ascii=False).encode()
        storage.write_bytes(storage.join(run_uri, "history.json"), data)
