"""The CRNN (Shi et al. 2015): a convolutional backbone, a bidirectional RNN, a linear head.

``images_NCHW → logits_TNC``. Shape suffixes: N pictures, H height, W width, T time steps,
F features, C classes (channels in ``images_NCHW``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from crnn.backbones import BACKBONES, build_backbone
from crnn.sequence import BidirectionalStack, initialise_linear


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What decides the shape of the weights, next to the charset and the picture contract."""

    backbone: str = "mobile"
    """One of vgg, vgg16_bn, resnet, mobile."""
    width_multiplier: float = 1.0
    """Multiple of the backbone's channels (Howard et al. 2017); vgg16_bn takes 1 only."""
    rnn: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell, always bidirectional."""
    rnn_hidden: int = 128
    """Units in each direction."""
    rnn_layers: int = 1
    """Stacked bidirectional layers."""
    dropout: float = 0.0
    """Share of features zeroed before the RNN layers and the head, while training."""

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone is {self.backbone!r}; expected one of {sorted(BACKBONES)}")
        if not 0 < self.width_multiplier <= 16:
            raise ValueError(
                f"width_multiplier is {self.width_multiplier:g}; expected more than 0, at most 16"
            )
        if self.rnn not in ("lstm", "gru"):
            raise ValueError(f"rnn is {self.rnn!r}; expected 'lstm' or 'gru'")
        if self.rnn_hidden < 1 or self.rnn_layers < 1:
            raise ValueError(
                f"rnn_hidden is {self.rnn_hidden} and rnn_layers {self.rnn_layers}; "
                "both are at least 1"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; expected 0 up to, not including, 1")


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
