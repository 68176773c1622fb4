from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
import safetensors.torch
import torch
from moto.server import ThreadedMotoServer

from crnn.bundle.bundle import BUNDLE_FILE, WEIGHTS_FILE, load_bundle
from crnn.bundle.calibration import Calibration, confidence_bins
from crnn.bundle.changes import keep_onnx
from crnn.bundle.json_file import CARD_FILE
from crnn.bundle.reading_policy import READ_ONCE, ReadingPolicy
from crnn.errors import BundleError
from crnn.model.network import ModelConfig
from crnn.text.charset import Charset
from tests.crnn.tiny_bundle import CHARSET, CONFIG, METRICS, ONNX, PICTURE, edit, save, tiny_model


def replace_weights(folder: Path, weights: bytes) -> None:
    """Put other bytes in the place of the weights, with the digest that they have."""
    (folder / WEIGHTS_FILE).write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    edit(folder, weights={"file": WEIGHTS_FILE, "sha256": digest, "float16": False})


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket on a real S3 endpoint of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="bundles")
    yield f"s3://bundles/models/tiny?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


def test_what_was_saved_comes_back_and_computes_the_same(tmp_path: Path) -> None:
    model = tiny_model()
    digest = save(tmp_path / "bundle", model=model)
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.model_config, bundle.charset, bundle.picture) == (CONFIG, CHARSET, PICTURE)
    assert bundle.calibration == Calibration(slope=0.5, bias=-0.25)
    assert (bundle.decoder, bundle.name, bundle.data_digest) == ("beam", "tiny", "d1")
    assert bundle.metrics == METRICS
    weights = (tmp_path / "bundle" / WEIGHTS_FILE).read_bytes()
    assert bundle.digest == digest == hashlib.sha256(weights).hexdigest()
    assert not any(module.training for module in bundle.model.modules())
    assert model.training
    images_NCHW = torch.randn(2, 3, 48, 64)
    with torch.inference_mode():
        assert torch.equal(bundle.model(images_NCHW), model.eval()(images_NCHW))


def test_only_safetensors_json_and_the_card_are_written(tmp_path: Path) -> None:
    save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {BUNDLE_FILE, WEIGHTS_FILE, CARD_FILE}
    assert safetensors.torch.load_file(tmp_path / WEIGHTS_FILE)["head.weight"].shape == (8, 16)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    model = tiny_model()
    save(tmp_path / "one", model=model)
    save(tmp_path / "two", model=model)
    for name in (WEIGHTS_FILE, BUNDLE_FILE, CARD_FILE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    save(tmp_path)
    before = torch.get_rng_state()
    load_bundle(tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_float16_halves_the_file_and_stays_close(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.head.weight[0, 0] = 1e6  # beyond float16
    save(tmp_path / "full", model=model)
    save(tmp_path / "half", model=model, float16=True)
    full, half = (
        {name: (tmp_path / name / WEIGHTS_FILE).stat().st_size for name in ("full", "half")}
    ).values()
    assert half < 0.6 * full
    for name, tensor in load_bundle(tmp_path / "half").model.state_dict().items():
        own = model.state_dict()[name]
        assert tensor.dtype == own.dtype
        torch.testing.assert_close(tensor, own, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("backbone", ["vgg", "vgg16_bn", "resnet"])
def test_every_backbone_travels_in_a_bundle(tmp_path: Path, backbone: str) -> None:
    config = ModelConfig(backbone=backbone, rnn_hidden=8)
    model = tiny_model(config=config)
    save(tmp_path, model=model)
    images_NCHW = torch.randn(1, 3, 48, 64)
    with torch.inference_mode():
        expected = model.eval()(images_NCHW)
        assert torch.equal(load_bundle(tmp_path).model(images_NCHW), expected)


def test_the_card_states_the_facts(tmp_path: Path) -> None:
    digest = save(tmp_path)
    card = (tmp_path / CARD_FILE).read_text()
    for fact in (digest, "# tiny", "mobile", "2 bidirectional GRU", "64, 128", "RGB", "0.25", "d1"):
        assert fact in card
    assert f"{sum(p.numel() for p in tiny_model().parameters()):,}" in card
    assert f"```\n{CHARSET.characters}\n```" in card


def test_training_and_reliability_are_in_the_card(tmp_path: Path) -> None:
    bins = confidence_bins([0.05, 0.9, 0.95, 0.95], [False, True, True, False], 10)
    facts = {"commands": ["python jobs/train.py --seed 3"], "samples": 1_500_000, "hours": 2.5}
    save(tmp_path, training=facts, reliability=bins)
    bundle = load_bundle(tmp_path)
    assert bundle.training == facts
    assert bundle.reliability == tuple(b for b in bins if b.count)
    card = (tmp_path / CARD_FILE).read_text()
    assert "```\npython jobs/train.py --seed 3\n```" in card
    assert "| samples | 1500000 |" in card and "| hours | 2.5 |" in card
    assert "(reliability.svg)" in card
    # (1 · 0.05 + 3 · (0.9333 − 0.6667)) / 4
    assert "calibration error 21.2% over 4 readings" in card
    assert "| 0.90 to 1.00 | 93.3% | 66.7% | 3 |" in card
    plot = ElementTree.fromstring((tmp_path / "reliability.svg").read_text())
    dots = plot.findall("{http://www.w3.org/2000/svg}circle")
    assert len(dots) == 2
    save(tmp_path)
    assert not (tmp_path / "reliability.svg").exists(), "it was of other readings"
    assert load_bundle(tmp_path).reliability == ()


def test_a_bundle_without_training_and_reliability_loads(tmp_path: Path) -> None:
    """As they were written before there were these."""
    save(tmp_path)
    about = json.loads((tmp_path / BUNDLE_FILE).read_text())
    del about["training"], about["reliability"]
    (tmp_path / BUNDLE_FILE).write_text(json.dumps(about))
    bundle = load_bundle(tmp_path)
    assert (bundle.training, bundle.reliability) == (None, ())


def test_a_folder_without_bundle_json_is_unfinished(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / BUNDLE_FILE).unlink()
    with pytest.raises(BundleError, match=r"no bundle\.json: the bundle is unfinished"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "elsewhere")


def test_a_bundle_without_weights_or_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(BundleError, match=WEIGHTS_FILE):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match=BUNDLE_FILE):
        load_bundle(tmp_path / BUNDLE_FILE)


def test_a_changed_weights_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    digest = save(tmp_path)
    weights = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    weights[-1] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(weights)
    actual = hashlib.sha256(weights).hexdigest()
    with pytest.raises(BundleError, match=f"(?s){actual}.*{digest}"):
        load_bundle(tmp_path)


def test_another_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    save(tmp_path)
    edit(tmp_path, format_version=7)
    with pytest.raises(BundleError, match="version 7, this program reads 1"):
        load_bundle(tmp_path)


def test_another_charset_is_refused_with_both(tmp_path: Path) -> None:
    save(tmp_path)
    edit(tmp_path, charset="abc")
    with pytest.raises(BundleError, match=r"8 classes.* 4 "):
        load_bundle(tmp_path)
    edit(tmp_path, charset=CHARSET.characters[::-1])
    with pytest.raises(BundleError, match=r"(?s)'abé.*éba'"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"backbone": "mobile", "depth": 3}}, r"unknown settings \['depth'\]"),
        ({"model": {"backbone": "mobile", "rnn_hidden": 4}}, "don't match"),
        ({"model": {"backbone": "alexnet"}}, "alexnet"),
        ({"model": []}, "expected an object"),
        ({"picture": {"height": 40}}, "height is 40"),
        ({"picture": {"widths": [9, 3]}}, r"widths are \(9, 3\)"),
        ({"charset": "aa"}, "more than once"),
        ({"charset": 3}, BUNDLE_FILE),
        ({"decoder": "magic"}, "magic.*beam"),
        ({"calibration": {"slope": -1}}, "slope"),
        ({"weights": {}}, "lacks 'sha256'"),
        ({"reading": {"stretches": [0.5]}}, r"stretches are \(0\.5,\)"),
        ({"reading": {"below": 1.5}}, "below is 1.5"),
        ({"reading": {"turn_from": 1}}, "turn_from is 1;"),
        ({"reading": {"again": True}}, r"unknown settings \['again'\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    save(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_bundle_json_is_refused(tmp_path: Path, text: bytes) -> None:
    save(tmp_path)
    (tmp_path / BUNDLE_FILE).write_bytes(text)
    with pytest.raises(BundleError):
        load_bundle(tmp_path)


class _Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    save(tmp_path)
    mark = tmp_path / "sprung"
    replace_weights(tmp_path, pickle.dumps(_Trap(mark)))
    with pytest.raises(BundleError, match="not a safetensors file"):
        load_bundle(tmp_path)
    assert not mark.exists()


def test_what_cannot_be_saved_leaves_the_old_bundle_whole(tmp_path: Path) -> None:
    digest = save(tmp_path)
    for changes, message in [
        ({"charset": Charset("ab")}, "8 classes, but the charset makes 3"),
        ({"decoder": "magic"}, "magic"),
        ({"metrics": {"loss": float("nan")}}, "JSON"),
        ({"metrics": {"loss": torch.zeros(1)}}, "JSON"),
    ]:
        with pytest.raises(ValueError, match=message):
            save(tmp_path, **changes)
    assert load_bundle(tmp_path).digest == digest


def test_saving_again_replaces_the_whole_bundle(tmp_path: Path) -> None:
    first = save(tmp_path)
    second = save(tmp_path, name="other", picture=replace(PICTURE, widths=(96,)))
    bundle = load_bundle(tmp_path)
    assert (bundle.digest, bundle.name, bundle.picture.widths) == (second, "other", (96,))
    assert first != second


def test_a_bundle_lives_in_an_object_store(bucket: str) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(bucket)
    digest = save(bucket)
    bundle = load_bundle(bucket)
    assert (bundle.digest, bundle.name, bundle.charset) == (digest, "tiny", CHARSET)
    keep_onnx(bucket, bundle, ONNX)
    assert load_bundle(bucket).onnx == ONNX


def test_a_bundle_keeps_the_order_of_its_texts(tmp_path: Path) -> None:
    charset = Charset("אבab", "rtl")
    save(tmp_path / "b", model=tiny_model(charset), charset=charset)
    assert load_bundle(tmp_path / "b").charset == charset


def test_an_older_bundle_reads_right_to_left_letters_as_it_was_trained(tmp_path: Path) -> None:
    for characters, order in (("אבab", "logical"), ("abcd", "auto")):
        folder = tmp_path / order
        save(folder, model=tiny_model(Charset(characters)), charset=Charset(characters))
        about = json.loads((folder / BUNDLE_FILE).read_text())
        del about["text_order"]
        (folder / BUNDLE_FILE).write_text(json.dumps(about))
        assert load_bundle(folder).charset.text_order == order


def test_a_bundle_with_an_unknown_order_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    edit(tmp_path, text_order="boustrophedon")
    with pytest.raises(BundleError, match=r"'boustrophedon'; expected one of \['auto'"):
        load_bundle(tmp_path)


def test_an_older_bundle_reads_once_and_keeps_its_digest(tmp_path: Path) -> None:
    digest = save(tmp_path)
    about = json.loads((tmp_path / BUNDLE_FILE).read_text())
    del about["reading"]
    (tmp_path / BUNDLE_FILE).write_text(json.dumps(about))
    bundle = load_bundle(tmp_path)
    assert (bundle.reading, bundle.digest, bundle.weights_sha256) == (READ_ONCE, digest, digest)


def test_bundles_that_read_otherwise_have_other_digests(tmp_path: Path) -> None:
    model, policy = tiny_model(), ReadingPolicy()
    others: list[dict[str, Any]] = [
        {},
        {"reading": replace(policy, below=0.5)},
        {"reading": READ_ONCE},
        {"picture": replace(PICTURE, widths=(64, 96))},
        {"picture": replace(PICTURE, stretch=1.5)},
        {"picture": replace(PICTURE, stretch=1.5), "reading": READ_ONCE},
        {"calibration": Calibration(slope=0.7)},
    ]
    bundles = []
    for change in others:
        digest = save(tmp_path, model=model, **{"reading": policy, **change})
        bundles.append(load_bundle(tmp_path))
        assert bundles[-1].digest == digest
    assert bundles[0].reading == policy
    assert len({bundle.digest for bundle in bundles}) == len(others)
    assert len({bundle.weights_sha256 for bundle in bundles}) == 1
    assert save(tmp_path, model=model, reading=policy, name="another") == bundles[0].digest
    assert "again at 1.5 times the width" in (tmp_path / "MODEL_CARD.md").read_text()


def test_a_stretch_of_one_is_not_stored_as_before_there_was_another(tmp_path: Path) -> None:
    for stretch in (1.0, 1.5):
        save(tmp_path, picture=replace(PICTURE, stretch=stretch))
        about = json.loads((tmp_path / BUNDLE_FILE).read_text())
        assert about["picture"].get("stretch", 1.0) == stretch
        assert ("stretch" in about["picture"]) == (stretch != 1)
        assert load_bundle(tmp_path).picture.stretch == stretch
        assert ("1.5 times as wide" in (tmp_path / "MODEL_CARD.md").read_text()) == (stretch != 1)
