"""The CRNN (Shi et al. 2015): a convolutional backbone, a bidirectional RNN, a linear head.

``images_NCHW → logits_TNC``. Shape suffixes: N pictures, H height, W width, T time steps,
F features, C classes (channels in ``images_NCHW``).
"""

from __future__ import annotations

import torch
from torch import nn

from crnn.model.backbones import build_backbone
from crnn.model.config import ModelConfig
from crnn.model.sequence import BidirectionalStack, initialise_linear

__all__ = ["CRNN", "ModelConfig"]


class CRNN(nn.Module):
    """``images_NCHW`` (float, normalised) → ``logits_TNC`` (float32)."""

    def __init__(
        self, config: ModelConfig, *, num_classes: int, in_channels: int, height: int
    ) -> None:
        super().__init__()
        self.config = config
        self.in_channels = in_channels
        self.input_height = height
        self.backbone = build_backbone(
            config.backbone,
            in_channels=in_channels,
            height=height,
            width_multiplier=config.width_multiplier,
        )
        self.rnn = BidirectionalStack(
            config.rnn,
            self.backbone.out_features,
            config.rnn_hidden,
            layers=config.rnn_layers,
            dropout=config.dropout,
        )
        self.head = nn.Linear(2 * config.rnn_hidden, num_classes)
        initialise_linear(self.head)

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width."""
        return self.backbone.time_steps(width_px)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Class scores for each time step, unnormalised, float32 under any autocast."""
        features_TNF = self.backbone(images_NCHW).permute(2, 0, 1).contiguous()
        return self.head(self.rnn(features_TNF)).float()
