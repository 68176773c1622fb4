"""``resnet``: the deep residual network of scene text recognition, for accuracy.

29 convolutional layers on the main path (the 1x1 shortcuts not counted), after the encoder of
FAN (Cheng et al. 2017, table 1), laid out as in the comparison of Baek et al. (2019).
"""

from __future__ import annotations

import torch
from torch import nn

from crnn.model.backbones.layers import (
    HEIGHT_STRIDE,
    check_input,
    convolution_bn_relu,
    initialise_convolutions,
    scaled,
)

_CHANNELS = (32, 64, 128, 256, 512)


class ResNet(nn.Module):
    """``images_NCHW → features_NFT`` with T = W // 4 + 1 and F = 512 times the multiplier.

    The last convolution is 2x2 at a height of 32; at any other multiple of 16 it is
    (height / 16)x2, so that it still collapses the height.

    Raises:
        ValueError: for a height that isn't a multiple of 16, or channels other than 1 or 3.
    """

    def __init__(self, *, in_channels: int, height: int, width_multiplier: float = 1.0) -> None:
        super().__init__()
        check_input("resnet", in_channels=in_channels, height=height)
        flat = (0, 0)
        c32, c64, c128, c256, c512 = (scaled(count, width_multiplier) for count in _CHANNELS)
        self.out_features = c512
        self.layers = nn.Sequential(
            *convolution_bn_relu(in_channels, c32),
            *convolution_bn_relu(c32, c64),
            nn.MaxPool2d(2, 2),
            *_stage(c64, c128, blocks=1),
            nn.MaxPool2d(2, 2),
            *_stage(c128, c256, blocks=2),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            *_stage(c256, c512, blocks=5),
            *_blocks(c512, c512, count=3),
            *convolution_bn_relu(c512, c512, 2, stride=(2, 1), padding=(0, 1)),
            *convolution_bn_relu(c512, c512, (height // HEIGHT_STRIDE, 2), padding=flat),
        )
        initialise_convolutions(self)

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width: two halvings rounded down, then 1 + 1 - 1 columns."""
        return width_px // 4 + 1

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        return self.layers(images_NCHW).squeeze(2)


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is 1x1 where the channels change."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *convolution_bn_relu(in_channels, out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.residual(images_NCHW) + self.shortcut(images_NCHW))


def _blocks(in_channels: int, out_channels: int, *, count: int) -> list[nn.Module]:
    first: list[nn.Module] = [_Block(in_channels, out_channels)]
    return first + [_Block(out_channels, out_channels) for _ in range(count - 1)]


def _stage(in_channels: int, out_channels: int, *, blocks: int) -> list[nn.Module]:
    """Residual blocks followed by one plain convolution."""
    return [
        *_blocks(in_channels, out_channels, count=blocks),
        *convolution_bn_relu(out_channels, out_channels),
    ]
