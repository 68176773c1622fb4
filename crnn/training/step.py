"""One optimizer step over one global batch, on every rank together.

A global batch is a number of ready batches, shared out over the ranks. The loss is the mean
over *all* its samples of the CTC loss per target character: each rank divides by the global
count, so ranks may hold batches of different sizes, or none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crnn.images.contract import normalise
from crnn.model.ctc import ctc_losses
from crnn.training.batch import ReadyBatch
from crnn.training.old_network import OldNetwork
from crnn.training.ranks import sum_over_ranks, world_size


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step did; the sums are global, ``bad`` is this rank's own."""

    samples: int
    """Samples in the global batch."""
    loss_sum: float
    """Sum of their losses per character; non-finite ones left out."""
    grad_norm: float
    """L2 norm before clipping."""
    skipped: bool
    """A non-finite loss or gradient somewhere: no rank moved its weights."""
    bad: tuple[tuple[str, str], ...]
    """(sample id, reason) of this rank's samples that caused the skip."""


def forward(model: nn.Module, batch: ReadyBatch) -> Tensor:
    """``logits_TNC`` in float32; the network in between in bf16 on a GPU."""
    device = batch.images_NHWC.device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        images_NCHW = normalise(batch.images_NHWC).contiguous(memory_format=torch.channels_last)
        return model(images_NCHW)


def sample_losses(logits_TNC: Tensor, batch: ReadyBatch) -> Tensor:
    """CTC loss per target character, ``losses_N``."""
    losses_N = ctc_losses(logits_TNC, batch.targets_S, batch.lengths_N)
    return losses_N / batch.lengths_N.clamp(min=1)


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[ReadyBatch],
    *,
    clip_norm: float,
    device: torch.device,
    samples: int | None = None,
    old: OldNetwork | None = None,
) -> StepResult:
    """Forward, backward, clip and move; or skip, with the batch statistics put back.

    Every rank calls it the same number of times; a rank without batches passes an empty list.
    ``samples`` is the size of the global batch; without it the ranks sum theirs. On its samples
    ``old`` is followed in place of labels.
    """
    if samples is None:
        samples = int(sum_over_ranks([float(sum(map(len, batches)))], device)[0])
    buffers = [buffer.clone() for buffer in model.buffers()]
    optimizer.zero_grad(set_to_none=True)
    losses = _backward(model, batches, samples, device, old)
    grad_norm = float(nn.utils.clip_grad_norm_(model.parameters(), clip_norm))
    finite_N = torch.isfinite(losses)
    loss_sum, infinite = sum_over_ranks(
        [float(losses[finite_N].sum()), float((~finite_N).sum())], device
    )
    skipped = infinite > 0 or not torch.isfinite(torch.tensor(grad_norm))
    if skipped:
        for buffer, saved in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(saved)
        optimizer.zero_grad(set_to_none=True)
    else:
        optimizer.step()
    return StepResult(
        samples=samples,
        loss_sum=loss_sum,
        grad_norm=grad_norm,
        skipped=skipped,
        bad=_blame(batches, finite_N, anywhere=infinite > 0) if skipped else (),
    )


def _backward(
    model: nn.Module,
    batches: Sequence[ReadyBatch],
    samples: int,
    device: torch.device,
    old: OldNetwork | None,
) -> Tensor:
    """Gradients of the global mean; returns this rank's ``losses_N``, detached.

    Gradients are exchanged once, with the last batch. DDP averages over ranks, so each
    rank's share is multiplied by their number.
    """
    scale = world_size() / max(1, samples)
    losses = []
    for index, batch in enumerate(batches):
        last = index == len(batches) - 1
        with contextlib.nullcontext() if last else _without_exchange(model):
            on_device = batch.to(device)
            logits_TNC = forward(model, on_device)
            losses_N = sample_losses(logits_TNC, on_device)
            if old is not None:
                losses_N = old.losses(losses_N, logits_TNC, on_device)
            (losses_N.sum() * scale).backward()
        losses.append(losses_N.detach())
    if not batches:
        _idle_backward(model, device)
        return torch.zeros(0, device=device)
    return torch.cat(losses)


def _without_exchange(model: nn.Module) -> contextlib.AbstractContextManager[None]:
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return contextlib.nullcontext()


def _idle_backward(model: nn.Module, device: torch.device) -> None:
    """A zero gradient, so that a rank out of batches still takes part in the exchange."""
    if world_size() == 1:
        return
    inner = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    height, channels = inner.input_height, inner.in_channels
    blank = torch.zeros(1, channels, height, 64, device=device)  # type: ignore[arg-type]
    model.eval()  # running statistics neither used nor moved by the blank picture
    (model(blank).sum() * 0.0).backward()
    model.train()


def _blame(
    batches: Sequence[ReadyBatch], finite_N: Tensor, *, anywhere: bool
) -> tuple[tuple[str, str], ...]:
    """The samples with a non-finite loss; all of them when only the gradient is to blame."""
    ids = [sample_id for batch in batches for sample_id in batch.ids]
    if anywhere:
        flags = finite_N.tolist()
        return tuple((i, "non_finite_loss") for i, ok in zip(ids, flags, strict=True) if not ok)
    return tuple((i, "non_finite_gradient") for i in ids)
