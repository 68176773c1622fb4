"""What decides optimizer, schedule and weight average; needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How weights are moved."""

    optimizer: Literal["adamw", "adadelta", "sgd"] = "adamw"
    """adamw, adadelta (as in the CRNN paper) or sgd (with momentum 0.9)."""
    lr: float = 6e-3
    """Peak learning rate; the default suits mobile; the large backbones need about 1e-3."""
    weight_decay: float = 1e-2
    """Decoupled weight decay, on matrices and kernels only (not on biases and norms)."""
    lr_scales: dict[str, float] = field(default_factory=dict)
    """Learning rate factors by prefix of the parameter name, e.g. backbone 0.1 rnn 1; the longest
    prefix wins. 0 freezes, batch norms included."""
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    """one_cycle warms up along a cosine, cosine linearly; both then fall to ``final_factor``."""
    warmup: float = 0.15
    """Share of the run over which the learning rate rises."""
    final_factor: float = 0.002
    """The learning rate at the end, as a share of ``lr``."""
    clip_norm: float = 5.0
    """Maximum L2 norm of the gradient; a larger one is scaled down to it."""
    ema_decay: float = 0.99
    """Decay of the exponential moving average of the weights, per step; 0: off."""
    max_skipped_in_a_row: int = 20
    """Number of non-finite steps in a row after which the run ends with an error."""

    def __post_init__(self) -> None:
        checks = {
            "optimizer": self.optimizer in ("adamw", "adadelta", "sgd"),
            "schedule": self.schedule in ("one_cycle", "cosine", "constant"),
            "lr": self.lr > 0,
            "weight_decay": self.weight_decay >= 0,
            "warmup": 0 <= self.warmup < 1,
            "final_factor": 0 <= self.final_factor <= 1,
            "clip_norm": self.clip_norm > 0,
            "ema_decay": 0 <= self.ema_decay < 1,
            "max_skipped_in_a_row": self.max_skipped_in_a_row >= 1,
            "lr_scales": all(scale >= 0 for scale in self.lr_scales.values()),
        }
        for name, good in checks.items():
            if not good:
                raise ValueError(f"{name} is {getattr(self, name)!r}, out of its range; see --help")
