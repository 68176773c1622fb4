"""``torch``: the model as it is, in eager PyTorch; the reference that the others are held to.

``torch-bf16``: the same with convolutions, recurrent layers and head in bfloat16.
"""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn

from crnn.engines.graph import Engine, PixelsToLogProbs, in_slices
from crnn.images.contract import Pixels

SLICE_PIXELS = 1 << 18
"""A CPU thread's share of what is computed at once: 64 pictures of 32x128 px."""


def build(
    model: nn.Module, device: torch.device, threads: int | None, *, bf16: bool = False
) -> Engine:
    """The engine; the model is copied where it isn't on ``device`` yet."""
    if threads is not None:
        torch.set_num_threads(threads)
    graph = PixelsToLogProbs(on_device(model, device)).eval()

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return graph(torch.from_numpy(pixels_NHWC).to(device)).cpu()

    if device.type != "cpu":
        return run
    return in_slices(run, SLICE_PIXELS * torch.get_num_threads())


def on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """The model if it lies there already, else a copy of it, so that others' stays in place."""
    target = torch.empty(0, device=device).device  # "cuda" is one of its devices
    if all(tensor.device == target for tensor in chain(model.parameters(), model.buffers())):
        return model
    return copy.deepcopy(model).to(device)
