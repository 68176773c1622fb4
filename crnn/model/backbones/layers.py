"""What the convolutional backbones share: rules of height and channels, a layer, initialisation."""

from __future__ import annotations

from torch import nn

HEIGHT_STRIDE = 16
"""The pools of vgg, vgg16_bn and resnet leave height / 16 rows for the last stage to collapse."""


def check_input(name: str, *, in_channels: int, height: int) -> None:
    """Reject input that the backbone ``name`` can't take.

    Raises:
        ValueError: unless ``in_channels`` is 1 or 3 and ``height`` a positive multiple of 16.
    """
    if in_channels not in (1, 3):
        raise ValueError(f"in_channels is {in_channels}; {name} takes 1 (grey) or 3 (RGB)")
    if height < HEIGHT_STRIDE or height % HEIGHT_STRIDE:
        raise ValueError(
            f"height is {height} px; {name} takes a positive multiple of {HEIGHT_STRIDE}, "
            "32 in the papers"
        )


def scaled(channels: int, multiplier: float) -> int:
    """Channels times the width multiplier of MobileNet (Howard et al. 2017), a multiple of 8."""
    return max(8, round(channels * multiplier / 8) * 8)


def convolution_bn_relu(
    in_channels: int,
    out_channels: int,
    size: int | tuple[int, int] = 3,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (1, 1),
) -> list[nn.Module]:
    """A convolution without bias, its batch norm and a ReLU, to be spread into a ``Sequential``."""
    return [
        nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def initialise_convolutions(module: nn.Module) -> None:
    """Kaiming-normal kernels (He et al. 2015, fan out) and zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
