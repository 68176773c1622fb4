"""The shape of the network, as a bundle keeps it and a command line gives it; needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crnn.model.backbones import BACKBONES


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What decides the shape of the weights, next to the charset and the picture contract."""

    backbone: str = "mobile"
    """One of vgg, vgg16_bn, resnet, mobile."""
    width_multiplier: float = 1.0
    """Factor on the backbone's numbers of channels (Howard et al. 2017); vgg16_bn takes 1 only."""
    rnn: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell, always bidirectional."""
    rnn_hidden: int = 128
    """Units in each direction."""
    rnn_layers: int = 1
    """Stacked bidirectional layers."""
    dropout: float = 0.0
    """Dropout before the RNN layers and the head, 0 to below 1."""

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
