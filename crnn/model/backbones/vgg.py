"""``vgg``: the convolutional part of the CRNN of Shi, Bai and Yao (2015), table 1.

Seven convolutions and four max pools. The last two pools halve the height only; as in the
usual implementations they are 2x2 with stride (2, 1) and one column of padding on both sides.
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

_CHANNELS = (64, 128, 256, 512)


class Vgg(nn.Module):
    """``images_NCHW → features_NFT`` with T = W // 4 + 1 and F = 512 times the multiplier.

    32x100 pixels give 26 time steps. The last convolution is 2x2 at a height of 32, as in the
    paper; at any other multiple of 16 it is (height / 16)x2, so that it still collapses the height.

    Raises:
        ValueError: for a height that isn't a multiple of 16, or channels other than 1 or 3.
    """

    def __init__(self, *, in_channels: int, height: int, width_multiplier: float = 1.0) -> None:
        super().__init__()
        check_input("vgg", in_channels=in_channels, height=height)
        c64, c128, c256, c512 = (scaled(count, width_multiplier) for count in _CHANNELS)
        self.out_features = c512
        self.layers = nn.Sequential(
            *_convolution_relu(in_channels, c64),
            nn.MaxPool2d(2, 2),
            *_convolution_relu(c64, c128),
            nn.MaxPool2d(2, 2),
            *_convolution_relu(c128, c256),
            *_convolution_relu(c256, c256),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            *convolution_bn_relu(c256, c512),
            *convolution_bn_relu(c512, c512),
            nn.MaxPool2d((2, 2), (2, 1), (0, 1)),
            nn.Conv2d(c512, c512, (height // HEIGHT_STRIDE, 2)),
            nn.ReLU(inplace=True),
        )
        initialise_convolutions(self)

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width: two halvings rounded down, then 1 + 1 - 1 columns."""
        return width_px // 4 + 1

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        return self.layers(images_NCHW).squeeze(2)


def _convolution_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
