"""``mobile``: a small depthwise-separable network for CPUs, in the manner of MobileNet (2017).

Width is divided by 4, height collapsed to 1 by a depthwise convolution over what is left.
"""

from __future__ import annotations

import torch
from torch import nn

from crnn.model.backbones.layers import scaled

# out channels, (stride over height, over width)
_STAGES: tuple[tuple[int, tuple[int, int]], ...] = (
    (48, (1, 1)),
    (64, (2, 2)),
    (96, (1, 1)),
    (128, (2, 1)),
    (128, (1, 1)),
    (192, (2, 1)),
    (192, (1, 1)),
)
_STEM_CHANNELS = 24
_FEATURES = 192
_HEIGHT_STRIDE = 16


class Mobile(nn.Module):
    """``images_NCHW → features_NFT`` with T = ceil(W / 4) and F = 192 times the multiplier."""

    def __init__(self, *, in_channels: int, height: int, width_multiplier: float = 1.0) -> None:
        super().__init__()
        if height % _HEIGHT_STRIDE:
            raise ValueError(f"height is {height} px; mobile takes a multiple of {_HEIGHT_STRIDE}")
        channels = scaled(_STEM_CHANNELS, width_multiplier)
        layers: list[nn.Module] = [_convolution(in_channels, channels, 3, stride=(2, 2))]
        for base, stride in _STAGES:
            out = scaled(base, width_multiplier)
            layers.append(_separable(channels, out, stride))
            channels = out
        self.out_features = scaled(_FEATURES, width_multiplier)
        left = height // _HEIGHT_STRIDE
        layers.append(
            nn.Sequential(
                nn.Conv2d(channels, channels, (left, 1), groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.Conv2d(channels, self.out_features, 1, bias=False),
                nn.BatchNorm2d(self.out_features),
                nn.ReLU(inplace=True),
            )
        )
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # by fan in: the fan out that torch counts takes no notice of groups
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width: two halvings, rounded up."""
        return -(-width_px // 4)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        return self.layers(images_NCHW).squeeze(2)


def _convolution(
    in_channels: int, out_channels: int, size: int, *, stride: tuple[int, int]
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _separable(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False
        ),
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
