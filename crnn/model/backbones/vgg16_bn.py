"""``vgg16_bn``: torchvision's VGG-16 with batch norm (Simonyan and Zisserman 2015) as a backbone.

Its parameters carry torchvision's names, so that ImageNet weights load as they are. The third,
fourth and fifth pools halve the height only; the fifth collapses the height that is left.
"""

from __future__ import annotations

import os
from typing import Self

import torch
from torch import nn

from crnn.errors import DataError
from crnn.model.backbones.layers import HEIGHT_STRIDE, check_input, initialise_convolutions

HUB = "hub"
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_FEATURES = 512


class Vgg16Bn(nn.Module):
    """``images_NCHW → features_NFT`` with T = W // 4 and F = 512; 32x200 gives 50 time steps.

    Takes the pictures of ``crnn.images.contract.normalise``, in [-1, 1]; grey is repeated to three
    channels and ImageNet's mean and deviation are applied inside.

    Raises:
        ValueError: for a height that isn't a multiple of 16, channels other than 1 or 3, or a
            width multiplier, with which torchvision's weights wouldn't fit.
    """

    out_features = _FEATURES
    imagenet_mean: torch.Tensor
    imagenet_std: torch.Tensor

    def __init__(self, *, in_channels: int, height: int, width_multiplier: float = 1.0) -> None:
        super().__init__()
        check_input("vgg16_bn", in_channels=in_channels, height=height)
        if width_multiplier != 1:
            raise ValueError(
                f"width_multiplier is {width_multiplier:g}; vgg16_bn takes 1 only, "
                "as its channels are those of torchvision's weights"
            )
        pools = [(2, 2), (2, 2), (2, 1), (2, 1), (height // HEIGHT_STRIDE, 1)]
        layers: list[nn.Module] = []
        channels = 3
        for stage, pool in zip(_STAGES, pools, strict=True):
            for out in stage:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
                channels = out
            layers.append(nn.MaxPool2d(pool))
        self.features = nn.Sequential(*layers)
        self.frozen = False
        mean, std = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_STD)
        self.register_buffer("imagenet_mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("imagenet_std", std.view(1, 3, 1, 1), persistent=False)
        initialise_convolutions(self)

    def time_steps(self, width_px: int) -> int:
        """T for pictures of this width: two halvings, rounded down."""
        return width_px // 4

    def train(self, mode: bool = True) -> Self:
        """As of any module, except that a frozen backbone stays in eval mode."""
        return super().train(mode and not self.frozen)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """``features_NFT``."""
        from_zero_N3HW = (images_NCHW * 0.5 + 0.5).expand(-1, 3, -1, -1)
        return self.features((from_zero_N3HW - self.imagenet_mean) / self.imagenet_std).squeeze(2)


def load_imagenet_weights(backbone: Vgg16Bn, path: str | None) -> None:
    """Put torchvision's ImageNet weights of ``vgg16_bn`` into ``backbone``; the classifier is left.

    Args:
        backbone: changed in place.
        path: a local file of torchvision's state dict; ``"hub"`` fetches it (or takes it from
            torch hub's cache); ``None`` leaves the backbone as it is.

    Raises:
        DataError: when the file is missing, unreadable, or of another network; when the hub
            can't be reached.
    """
    if path is None:
        return
    state = _from_hub() if path == HUB else _from_file(path)
    prefix = "features."
    found = {name: tensor for name, tensor in state.items() if name.startswith(prefix)}
    wanted = backbone.state_dict()
    wrong = sorted(
        name
        for name in wanted.keys() | found.keys()
        if name not in found or name not in wanted or found[name].shape != wanted[name].shape
    )
    if wrong:
        raise DataError(
            f"{path}: not the weights of torchvision's vgg16_bn; {len(wrong)} tensors are missing, "
            f"unknown or of another shape, the first {wrong[0]!r}; save vgg16_bn's state_dict()"
        )
    backbone.load_state_dict(found)


def freeze(backbone: Vgg16Bn) -> None:
    """Stop training ``backbone``: no gradients, and its batch norms keep their statistics.

    It stays in eval mode even when ``train()`` is called on it or on a model that holds it.
    """
    backbone.requires_grad_(False)
    backbone.frozen = True
    backbone.eval()


def _from_file(path: str) -> dict[str, torch.Tensor]:
    if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where nobody may look
        raise DataError(
            f"no weights file at {path!r}; give a file with torchvision's vgg16_bn weights, or hub"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises almost anything on damaged files
        raise DataError(f"{path}: not a PyTorch state dict: {error}") from error
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise DataError(f"{path}: holds {type(state).__name__}, expected a dict of tensors by name")
    return state


def _from_hub() -> dict[str, torch.Tensor]:
    from torchvision.models import VGG16_BN_Weights  # a second to import

    weights = VGG16_BN_Weights.IMAGENET1K_V1
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash a RuntimeError
        raise DataError(
            f"can't fetch {weights.url} ({error}); download it where there is a network and give "
            "the file's path instead of 'hub'"
        ) from error
