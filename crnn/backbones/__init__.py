"""Backbones by name: each maps ``images_NCHW`` to ``features_NFT`` (height collapsed).

A backbone has ``out_features`` (F) and ``time_steps(width_px) -> T``, and initialises itself.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch

from crnn.backbones.mobile import Mobile
from crnn.backbones.resnet import ResNet
from crnn.backbones.vgg import Vgg
from crnn.backbones.vgg16_bn import Vgg16Bn


class Backbone(Protocol):
    """What ``crnn.model`` asks of a backbone module."""

    out_features: int

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width."""
        ...

    def __call__(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        ...


BACKBONES = {"vgg": Vgg, "vgg16_bn": Vgg16Bn, "resnet": ResNet, "mobile": Mobile}


def build_backbone(
    name: str, *, in_channels: int, height: int, width_multiplier: float = 1.0
) -> Backbone:
    """A freshly initialised backbone.

    Raises:
        ValueError: for a name that isn't registered, a height it can't collapse, or a multiplier
            it doesn't take.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone is {name!r}; expected one of {sorted(BACKBONES)}")
    return cast(
        Backbone,
        BACKBONES[name](in_channels=in_channels, height=height, width_multiplier=width_multiplier),
    )
