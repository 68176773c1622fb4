"""The state of a training run on one rank: model, optimizer, average, counters; its two verbs.

``train`` moves the weights by one global batch, ``validate`` scores the averaged weights on
this rank's share of the validation batches and returns sums over all ranks. Nothing here
knows where batches come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch

from crnn.decode import build_decoder
from crnn.errors import NonFiniteLossError
from crnn.model.network import CRNN
from crnn.text.charset import Charset
from crnn.text.metrics import Sums, score
from crnn.training.batch import ReadyBatch
from crnn.training.old_network import OldNetwork
from crnn.training.optim import (
    build_optimizer,
    freeze,
    frozen_norms,
    set_lr,
    weight_average,
)
from crnn.training.optim_config import OptimConfig
from crnn.training.ranks import average_buffers, gather_objects, replicate, sum_over_ranks
from crnn.training.step import StepResult, forward, sample_losses, train_step


@dataclass
class RunCounters:
    """Counters of the whole run, equal on every rank, kept over a resume."""

    steps: int = 0
    """Global batches, skipped ones too."""
    samples: int = 0
    """Samples in them."""
    skipped: int = 0
    """Non-finite global batches."""
    skipped_in_a_row: int = 0
    """Steps skipped since the last good step."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Sums over the whole validation set, and a few readings to show."""

    loss: float
    sums: Sums
    examples: list[tuple[str, str]] = field(default_factory=list)
    """(label, reading) of the first samples of rank 0."""


class Trainer:
    """Model, optimizer and averaged weights of one rank, moved in step with the others'."""

    def __init__(
        self,
        model: CRNN,
        charset: Charset,
        config: OptimConfig,
        *,
        total_samples: int,
        device: torch.device,
        old: OldNetwork | None = None,
    ) -> None:
        """``old`` is what the network was, where some of that is to be kept."""
        self.old = old.to(device) if old else None
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.charset = charset
        self.config = config
        self.device = device
        self.total_samples = total_samples
        self.progress = RunCounters()
        freeze(self.model, config)
        self.held = frozen_norms(self.model, config)
        self.average = weight_average(model, config.ema_decay)
        self.optimizer = build_optimizer(model, config)
        self.replica = replicate(self.model, device)

    @property
    def share_done(self) -> float:
        """Samples seen as a share of the run's."""
        return self.progress.samples / max(1, self.total_samples)

    def train(self, batches: Sequence[ReadyBatch], *, samples: int | None = None) -> StepResult:
        """One step over the global batch of which ``batches`` is this rank's part.

        ``samples`` is the size of the global batch, where the ranks have agreed on it before.

        Raises:
            NonFiniteLossError: on every rank, after too many skipped steps in a row.
        """
        self.replica.train()
        for norm in self.held:
            norm.eval()
        if self.old is not None:
            self.old.hold_norms(self.replica)
        set_lr(self.optimizer, self.config, self.share_done)
        result = train_step(
            self.replica,
            self.optimizer,
            batches,
            clip_norm=self.config.clip_norm,
            device=self.device,
            samples=samples,
            old=self.old,
        )
        self._count(result)
        if not result.skipped and self.config.ema_decay:
            self.average.update_parameters(self.model)
        return result

    def _count(self, result: StepResult) -> None:
        progress = self.progress
        progress.steps += 1
        progress.samples += result.samples
        progress.skipped += result.skipped
        progress.skipped_in_a_row = progress.skipped_in_a_row + 1 if result.skipped else 0
        if progress.skipped_in_a_row >= self.config.max_skipped_in_a_row:
            raise NonFiniteLossError(
                f"{progress.skipped_in_a_row} steps in a row had a non-finite loss or gradient "
                f"(gradient norm {result.grad_norm}); lower --optim.lr or --optim.clip-norm, or "
                "look at the samples in the run's rejects"
            )

    def shipped_model(self) -> CRNN:
        """The weights to validate and to ship: averaged if there is an average."""
        return cast(CRNN, self.average.module) if self.config.ema_decay else self.model

    @torch.inference_mode()
    def validate(self, batches: Iterable[ReadyBatch]) -> Validation:
        """Loss and accuracies of the shipped weights; sums over every rank's batches."""
        average_buffers(self.model)
        average_buffers(self.average)
        model = self.shipped_model().eval()
        decode = build_decoder("greedy")
        sums, loss_sum = Sums(), 0.0
        examples: list[tuple[str, str]] = []
        for batch in batches:
            labels = batch.texts(self.charset)
            on_device = batch.to(self.device)
            logits_TNC = forward(model, on_device)
            loss_sum += float(sample_losses(logits_TNC, on_device).sum())
            readings = [d.text for d in decode(logits_TNC.log_softmax(-1).cpu(), self.charset)]
            pairs = list(zip(labels, readings, strict=True))
            sums = sum((score(reading, label) for label, reading in pairs), sums)
            examples += pairs[: max(0, 8 - len(examples))]
        total = sum((Sums.from_dict(s) for s in gather_objects(sums.to_dict())), Sums())
        loss_sum = sum_over_ranks([loss_sum], self.device)[0]
        return Validation(loss=loss_sum / max(1, total.count), sums=total, examples=examples)

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs beside the data cursor: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "torch_rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The state of ``state_dict``, on any number of ranks."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = RunCounters(**state["progress"])
        torch.set_rng_state(state["torch_rng"].cpu())
