"""What every engine computes, and the type of all of them.

Shape suffixes: N pictures, H height, W bucket width, C channels (of pixels) or classes (of
log_probs), T time steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from crnn.images.contract import Pixels, normalise

Engine = Callable[[Pixels], torch.Tensor]
"""uint8 ``pixels_NHWC`` of one bucket, N > 0 → ``log_probs_TNC``, float32 on the CPU."""
INPUT_NAME = "pixels_NHWC"
OUTPUT_NAME = "log_probs_TNC"


class PixelsToLogProbs(nn.Module):
    """The whole of inference around a model: ``pixels_NHWC`` (uint8) → ``log_probs_TNC``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels_NHWC: torch.Tensor) -> torch.Tensor:
        """Normalised, read and log-softmaxed; float32."""
        return self.model(normalise(pixels_NHWC)).log_softmax(dim=-1)


def in_slices(engine: Engine, slice_pixels: int) -> Engine:
    """The engine fed with even slices of at most about ``slice_pixels`` padded pixels.

    For CPUs, in whose caches the features of a large batch have no room.
    """

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        num_slices = -(-len(pixels_NHWC) * pixels_NHWC[0, :, :, 0].size // slice_pixels)
        if num_slices <= 1 or len(pixels_NHWC) == 1:
            return engine(pixels_NHWC)
        slices = np.array_split(pixels_NHWC, min(num_slices, len(pixels_NHWC)))
        return torch.cat([engine(pixels) for pixels in slices], dim=1)

    return run
