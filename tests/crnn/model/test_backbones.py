from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from crnn.errors import DataError
from crnn.images.contract import PictureContract
from crnn.model.backbones import BACKBONES, build_backbone
from crnn.model.backbones.resnet import ResNet
from crnn.model.backbones.vgg import Vgg
from crnn.model.backbones.vgg16_bn import Vgg16Bn, freeze, load_imagenet_weights
from crnn.model.network import CRNN, ModelConfig

NAMES = sorted(BACKBONES)


def shaped(name: str, **options: Any) -> Any:
    """A backbone whose tensors have shapes alone: no numbers are made or computed."""
    with torch.device("meta"):
        return build_backbone(name, **options)


@cache
def built(name: str) -> Any:
    return shaped(name, in_channels=1, height=32)


def features(backbone: object, width: int, *, channels: int = 1, height: int = 32) -> torch.Tensor:
    """What comes out for one picture, on the device where the backbone is."""
    assert isinstance(backbone, nn.Module)
    device = next(backbone.parameters()).device
    with torch.inference_mode():
        return backbone.eval()(torch.zeros(1, channels, height, width, device=device))


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", PictureContract().widths)
def test_time_steps_is_the_true_length_for_every_bucket(name: str, width: int) -> None:
    found = features(built(name), width)
    assert found.shape == (1, built(name).out_features, built(name).time_steps(width))


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(NAMES), width=st.integers(8, 140))
def test_time_steps_is_the_true_length_for_any_width(name: str, width: int) -> None:
    assert features(built(name), width).shape[2] == built(name).time_steps(width)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("height", [16, 48, 64])
def test_other_heights_and_colour_collapse_to_one_row(name: str, height: int) -> None:
    backbone = shaped(name, in_channels=3, height=height)
    found = features(backbone, 64, channels=3, height=height)
    assert found.shape == (1, backbone.out_features, backbone.time_steps(64))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("height", [8, 24, 40])
def test_a_height_that_cannot_collapse_is_named(name: str, height: int) -> None:
    with pytest.raises(ValueError, match=f"height is {height} px; {name} takes"):
        build_backbone(name, in_channels=1, height=height)


def test_an_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'vgg19'.*mobile.*resnet.*vgg.*vgg16_bn"):
        build_backbone("vgg19", in_channels=1, height=32)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_finite_gradient(name: str) -> None:
    backbone = build_backbone(name, in_channels=1, height=32)
    assert isinstance(backbone, nn.Module)
    found = backbone.train()(torch.randn(2, 1, 32, 32))
    assert found.shape == (2, backbone.out_features, backbone.time_steps(32))
    found.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in backbone.parameters())


def test_vgg_is_table_1_of_the_paper() -> None:
    # weights and biases of seven convolutions, and scale and shift of two batch norms
    convolutions = [(1, 64, 9), (64, 128, 9), (128, 256, 9), (256, 256, 9)]
    convolutions += [(512, 512, 4)]
    with_bias = sum(i * o * k + o for i, o, k in convolutions)
    with_norm = 256 * 512 * 9 + 512 * 512 * 9 + 2 * 2 * 512
    vgg = Vgg(in_channels=1, height=32)
    assert num_parameters(vgg) == with_bias + with_norm == 5_549_824
    assert vgg.time_steps(100) == 26


def test_the_whole_vgg_crnn_has_the_8_3_million_of_the_paper() -> None:
    config = ModelConfig(backbone="vgg", rnn_hidden=256, rnn_layers=2)
    model = CRNN(config, num_classes=37, in_channels=1, height=32)
    assert num_parameters(model) == 8_329_765


def test_resnet_has_29_convolutional_layers_and_about_45_million_parameters() -> None:
    resnet = ResNet(in_channels=1, height=32)
    kernels = [m.kernel_size for m in resnet.modules() if isinstance(m, nn.Conv2d)]
    assert len([size for size in kernels if size != (1, 1)]) == 29
    assert abs(num_parameters(resnet) / 45e6 - 1) < 0.03


@pytest.mark.parametrize("name", ["mobile", "resnet", "vgg"])
@pytest.mark.parametrize("multiplier", [0.3, 2.0])
def test_a_width_multiplier_widens_every_layer(name: str, multiplier: float) -> None:
    backbone = shaped(name, in_channels=1, height=32, width_multiplier=multiplier)
    found = features(backbone, 64)
    assert found.shape == (1, backbone.out_features, backbone.time_steps(64))
    usual = built(name)
    assert abs(backbone.out_features / (usual.out_features * multiplier) - 1) < 0.1
    assert isinstance(backbone, nn.Module)
    assert isinstance(usual, nn.Module)
    assert abs(num_parameters(backbone) / (num_parameters(usual) * multiplier**2) - 1) < 0.3


def test_vgg16_bn_keeps_the_channels_of_its_weights() -> None:
    with pytest.raises(ValueError, match=r"width_multiplier is 0.5; vgg16_bn takes 1"):
        build_backbone("vgg16_bn", in_channels=1, height=32, width_multiplier=0.5)


@pytest.mark.parametrize("multiplier", [0.0, -1.0, 17.0, float("nan")])
def test_a_multiplier_out_of_its_range_is_named(multiplier: float) -> None:
    with pytest.raises(ValueError, match=f"width_multiplier is {multiplier:g}; expected"):
        ModelConfig(width_multiplier=multiplier)


def test_vgg16_bn_reads_32x200_into_50_time_steps() -> None:
    assert features(Vgg16Bn(in_channels=3, height=32), 200, channels=3).shape == (1, 512, 50)


def test_vgg16_bn_feeds_imagenet_normalised_pixels_of_grey_as_of_colour() -> None:
    backbone = Vgg16Bn(in_channels=1, height=32).eval()
    grey_N1HW = torch.rand(2, 1, 32, 48) * 2 - 1
    seen: list[torch.Tensor] = []
    backbone.features[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        same = torch.equal(backbone(grey_N1HW), backbone(grey_N1HW.expand(-1, 3, -1, -1)))
    assert same
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    torch.testing.assert_close(seen[0] * std + mean, ((grey_N1HW + 1) / 2).expand(-1, 3, -1, -1))


@pytest.fixture(scope="module")
def torchvision_state() -> dict[str, torch.Tensor]:
    from torchvision.models import vgg as torchvision_vgg  # seconds to import

    layers = torchvision_vgg.make_layers(torchvision_vgg.cfgs["D"], batch_norm=True)
    state = {
        f"features.{name}": torch.rand_like(t) if t.is_floating_point() else t + 7
        for name, t in layers.state_dict().items()
    }
    return state | {"classifier.0.weight": torch.zeros(2, 2)}


def test_imagenet_weights_load_by_torchvisions_own_names(
    tmp_path: Path, torchvision_state: dict[str, torch.Tensor]
) -> None:
    state = torchvision_state
    torch.save(state, tmp_path / "vgg16_bn.pth")
    backbone = Vgg16Bn(in_channels=1, height=32)
    load_imagenet_weights(backbone, str(tmp_path / "vgg16_bn.pth"))
    own = backbone.state_dict()
    assert own.keys() == state.keys() - {"classifier.0.weight"}
    assert all(torch.equal(own[name], state[name]) for name in own)


def test_no_weights_path_leaves_the_backbone_alone() -> None:
    backbone = Vgg16Bn(in_channels=1, height=32)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    load_imagenet_weights(backbone, None)
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_weights_of_another_network_damaged_or_missing_are_refused(
    tmp_path: Path, torchvision_state: dict[str, torch.Tensor]
) -> None:
    backbone = Vgg16Bn(in_channels=1, height=32)
    other = {k: v for k, v in torchvision_state.items() if not k.startswith("features.1.")}
    torch.save(other, tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"not a state dict")
    for name, message in [
        ("other.pth", r"not the weights .* 5 tensors .*features\.1\.bias"),
        ("damaged.pth", "not a PyTorch state dict"),
        ("missing.pth", "no weights file"),
    ]:
        with pytest.raises(DataError, match=message):
            load_imagenet_weights(backbone, str(tmp_path / name))


def test_a_frozen_backbone_neither_learns_nor_moves_its_statistics() -> None:
    model = CRNN(ModelConfig(backbone="vgg16_bn"), num_classes=3, in_channels=1, height=32)
    assert isinstance(model.backbone, Vgg16Bn)
    freeze(model.backbone)
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    model.train()
    assert model.training and model.rnn.training
    assert not any(module.training for module in model.backbone.modules())
    model(torch.randn(2, 1, 32, 32)).square().mean().backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(torch.equal(before[name], t) for name, t in model.backbone.state_dict().items())
    assert all(p.grad is not None for p in model.head.parameters())
