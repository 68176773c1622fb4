"""``compiled``: the convolutions and the normalisation through torch.compile, the RNN as it is.

The recurrent layers stay out of the compiled part because torch has fused kernels for them and
would trace them step by step. Pictures and width are symbols in what is compiled, so
that neither a bucket nor an odd last batch compiles it again; a lone picture, whose batch size
of 1 torch would compile for apart, is read as two.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from crnn.engines.graph import Engine, in_slices
from crnn.engines.torch_eager import SLICE_PIXELS, on_device
from crnn.images.contract import Pixels, normalise
from crnn.model.network import CRNN


class _PixelsToFeatures(nn.Module):
    """``pixels_NHWC`` (uint8) → ``features_TNF``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels_NHWC: torch.Tensor) -> torch.Tensor:
        return self.backbone(normalise(pixels_NHWC)).permute(2, 0, 1).contiguous()


def build(model: nn.Module, device: torch.device, threads: int | None) -> Engine:
    """The engine; compiled when it first runs, which takes a compiler and some seconds.

    Raises:
        ValueError: when the model is no ``CRNN``.
    """
    if not isinstance(model, CRNN):
        raise ValueError(f"engine 'compiled' takes a CRNN, not {type(model).__name__}")
    if threads is not None:
        torch.set_num_threads(threads)
    own = cast(CRNN, on_device(model, device)).eval()
    features = torch.compile(_PixelsToFeatures(cast(nn.Module, own.backbone)), dynamic=True)

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        count = len(pixels_NHWC)
        at_least_two = np.repeat(pixels_NHWC, 2, axis=0) if count == 1 else pixels_NHWC
        with torch.inference_mode():
            features_TNF = features(torch.from_numpy(at_least_two).to(device))[:, :count]
            logits_TNC = own.head(own.rnn(features_TNF.contiguous())).float()
            return logits_TNC.log_softmax(dim=-1).cpu()

    if device.type != "cpu":
        return run
    return in_slices(run, SLICE_PIXELS * torch.get_num_threads())
