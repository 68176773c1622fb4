"""Sums over the ranks of torch.distributed; the identity where there is only one process."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def world_size() -> int:
    """Ranks in the process group; 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's rank; 0 without a group."""
    return dist.get_rank() if world_size() > 1 else 0


def sum_over_ranks(values: list[float], device: torch.device) -> list[float]:
    """Element-wise sums, the same on every rank."""
    if world_size() == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return tensor.tolist()


def gather_objects(value: Any) -> list[Any]:
    """``value`` of every rank, in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, value)
    return gathered


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Batch-norm statistics averaged over the ranks, so that all validate the same model."""
    if world_size() == 1:
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer.div_(world_size())


def replicate(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with gradients averaged over the ranks (DistributedDataParallel)."""
    if world_size() == 1:
        return model
    ids = [device.index or 0] if device.type == "cuda" else None
    with warnings.catch_warnings():  # its successor is not in every torch that we support
        warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
        return nn.parallel.DistributedDataParallel(
            model, device_ids=ids, broadcast_buffers=False, gradient_as_bucket_view=True
        )
