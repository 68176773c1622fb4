"""Backbones by name: each maps ``images_NCHW`` to ``features_NFT`` (height collapsed).

A backbone has ``out_features`` (F) and ``time_steps(width_px) -> T``, and initialises itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import torch


class Backbone(Protocol):
    """What ``crnn.model.network`` asks of a backbone module."""

    out_features: int

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width."""
        ...

    def __call__(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        ...


BACKBONES = {"vgg": "Vgg", "vgg16_bn": "Vgg16Bn", "resnet": "ResNet", "mobile": "Mobile"}
"""Each backbone's class, in the module of the same name; imported when first built."""


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
    build = getattr(import_module(f"crnn.model.backbones.{name}"), BACKBONES[name])
    return cast(
        Backbone,
        build(in_channels=in_channels, height=height, width_multiplier=width_multiplier),
    )
