"""What a run's weights begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from crnn.bundle.bundle import load_bundle, save_bundle
from crnn.bundle.shipped import default_bundle
from crnn.errors import BundleError
from crnn.images.contract import PictureContract
from crnn.model.network import ModelConfig
from crnn.text.charset import Charset
from jobs import cli
from jobs.training.network import (
    first_network,
    new_network,
    origin,
    start_address,
    starting_bundle,
)
from jobs.training.settings import TrainSettings
from tests.jobs.runs import PROJECT, tiny_bundle

CHARSET = Charset("abc123")
MOST_MIB = 20


def test_the_default_model_starts_from_the_shipped_bundle() -> None:
    assert start_address(TrainSettings()) == default_bundle()
    start = starting_bundle(TrainSettings())
    model = first_network(TrainSettings(), CHARSET, start)
    shipped = load_bundle(default_bundle())
    assert torch.equal(
        model.state_dict()["backbone.layers.0.0.weight"],
        shipped.model.state_dict()["backbone.layers.0.0.weight"],
    )
    row, theirs = CHARSET.encode("b")[0], shipped.charset.encode("b")[0]
    assert torch.equal(model.head.weight[row], shipped.model.head.weight[theirs])
    assert origin(TrainSettings(), start) == f"{shipped.name}, {shipped.digest[:12]}"


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings(init_from="none"),
        TrainSettings(model=ModelConfig(backbone="vgg")),
        TrainSettings(model=ModelConfig(width_multiplier=2.0)),
        TrainSettings(picture=PictureContract(channels=3)),
        TrainSettings(picture=PictureContract(height=48)),
    ],
)
def test_random_weights_where_these_are_asked_for_or_the_shape_is_another(
    settings: TrainSettings,
) -> None:
    assert start_address(settings) is None and starting_bundle(settings) is None
    assert origin(settings, None) == "random weights"


def test_a_bundle_that_is_named_is_taken_whatever_its_shape(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny")
    settings = TrainSettings(init_from=str(tmp_path / "tiny"))
    start = starting_bundle(settings)
    assert start is not None and start_address(settings) == settings.init_from
    assert origin(settings, start).startswith(f"{tmp_path}/tiny, ")


def test_an_installation_without_bundles_starts_from_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crnn.bundle.shipped.default_bundle.__defaults__", (tmp_path,))
    assert starting_bundle(TrainSettings()) is None


def test_a_shipped_bundle_that_is_damaged_is_told_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(default_bundle(), tmp_path / "mobile")
    (tmp_path / "mobile" / "model.safetensors").write_bytes(b"x")
    monkeypatch.setattr("crnn.bundle.shipped.default_bundle.__defaults__", (tmp_path,))
    with pytest.raises(BundleError, match="SHA-256"):
        starting_bundle(TrainSettings())


@pytest.mark.parametrize("name", ["mobile", "large"])
def test_the_bundle_of_a_recipe_is_below_20_mib(name: str, tmp_path: Path) -> None:
    recipe = PROJECT / "recipes" / name / "train.yaml"
    settings = cli.parse(TrainSettings, ["--config", str(recipe)], description="")
    charset = Charset.named(settings.charset)
    model = new_network(settings, charset.num_classes)
    save_bundle(
        tmp_path,
        model=model,
        charset=charset,
        picture=settings.picture,
        name=name,
        data_digest="",
        metrics={},
        float16=True,
    )
    assert (tmp_path / "model.safetensors").stat().st_size < MOST_MIB << 20
