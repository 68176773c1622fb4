"""A bundle of kind ``imported``: kept, loaded, read by the engines of ONNX and by no other."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crnn import Bundle, Charset, PictureContract, load_bundle
from crnn.bundle.bundle import BUNDLE_FILE, save_bundle
from crnn.bundle.calibration import Calibration, confidence_bins
from crnn.bundle.changes import keep_calibration
from crnn.bundle.imported import Imported, save_imported
from crnn.bundle.json_file import CARD_FILE
from crnn.bundle.onnx_file import ONNX_FILE, Proof, ProvenOnnx
from crnn.engines import build_engine, engine_for
from crnn.engines.export import export_onnx
from crnn.errors import BundleError, EngineError
from crnn.inference.recognizer import Recognizer
from jobs.training.network import starting_bundle
from jobs.training.settings import TrainSettings
from tests.crnn.networks import (
    CHARSET,
    PICTURE,
    bundle_of,
    noise,
    noise_batch,
    sharp_model,
    sharp_onnx,
)
from tests.crnn.tiny_bundle import edit, tiny_model

CRNN_BUNDLE = bundle_of(sharp_model())
CONTRACT = replace(PICTURE, padding=0, shrinking="linear", rounding="up")
FOUND = {"takes": "pictures", "gives": "scores"}


@pytest.fixture(scope="module")
def graph() -> bytes:
    return sharp_onnx()


def save(folder: Path, graph: bytes, engines: tuple[str, ...] = ("onnx", "openvino")) -> Bundle:
    proof = Proof(
        pictures=10,
        widths=PICTURE.widths,
        engines=dict.fromkeys(engines, "1"),
        max_probability_difference=0.0,
        max_confidence_difference=0.0,
    )
    save_imported(
        folder,
        onnx=ProvenOnnx(data=graph, proof=proof),
        imported=Imported(
            source="a package 1.0: rec.onnx",
            source_sha256="0" * 64,
            licence="Apache-2.0",
            time_steps={w: CRNN_BUNDLE.time_steps(w) for w in PICTURE.widths},
            found=FOUND,
        ),
        charset=CHARSET,
        picture=CONTRACT,
        name="other",
        metrics={"agreement": 1.0},
    )
    return load_bundle(folder)


def test_it_is_loaded_as_it_was_saved(tmp_path: Path, graph: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"of a bundle that was here before")
    bundle = save(tmp_path, graph)
    assert (bundle.charset, bundle.picture, bundle.name) == (CHARSET, CONTRACT, "other")
    assert bundle.onnx is not None and bundle.onnx.data == graph
    assert bundle.imported is not None and bundle.imported.found == FOUND
    assert bundle.weights_sha256 == hashlib.sha256(graph).hexdigest() != bundle.digest
    steps = [bundle.time_steps(width) for width in PICTURE.widths]
    assert steps == [CRNN_BUNDLE.time_steps(width) for width in PICTURE.widths]
    assert sorted(p.name for p in tmp_path.iterdir()) == [CARD_FILE, BUNDLE_FILE, ONNX_FILE]
    card = (tmp_path / CARD_FILE).read_text()
    assert "Apache-2.0" in card and "a package 1.0: rec.onnx" in card and "Takes | pictures" in card


@pytest.mark.parametrize("engine", ["auto", "onnx", "openvino"])
def test_the_engines_of_onnx_read_it(tmp_path: Path, graph: bytes, engine: str) -> None:
    bundle = save(tmp_path, graph)
    pixels_NHWC = noise_batch(5, 64)
    expected_TNC = build_engine("torch", CRNN_BUNDLE)(pixels_NHWC)
    assert torch.allclose(build_engine(engine, bundle)(pixels_NHWC), expected_TNC, atol=1e-3)
    pictures = [noise(seed, width) for seed, width in enumerate((20, 48, 90, 300))]
    results = Recognizer(bundle, engine=engine).read(pictures)
    assert len({result.text for result in results}) == 4 and all(r.text for r in results)
    assert [Recognizer(bundle, engine=engine).read(p) for p in pictures] == results


def test_engines_of_torch_refuse_it(tmp_path: Path, graph: bytes) -> None:
    bundle = save(tmp_path, graph)
    for name in ("torch", "compiled", "torch-bf16"):
        with pytest.raises(EngineError, match=r"imported as an ONNX graph.*'auto', 'onnx'"):
            build_engine(name, bundle)
    with pytest.raises(ValueError, match="runs on the CPU, not on cuda"):
        build_engine("auto", bundle, device="cuda")


def test_it_is_neither_trained_nor_exported(tmp_path: Path, graph: bytes) -> None:
    bundle = save(tmp_path, graph)
    for use in (bundle.network, lambda: export_onnx(bundle)):
        with pytest.raises(BundleError, match=r"'imported'.*neither trained nor exported"):
            use()


def test_only_an_engine_that_was_compared_is_chosen(tmp_path: Path, graph: bytes) -> None:
    bundle = save(tmp_path, graph, engines=("openvino",))
    assert engine_for("auto", bundle) == "openvino"
    with pytest.raises(EngineError, match=r"proven with \['openvino'\] only.*import it again"):
        build_engine("onnx", bundle)


def test_its_digest_knows_the_graph_and_the_contract(tmp_path: Path, graph: bytes) -> None:
    bundle = save(tmp_path, graph)
    assert load_bundle(tmp_path, with_onnx=False).digest == bundle.digest
    edit(tmp_path, picture=PictureContract(**{**CONTRACT.stated(), "padding": 9}).stated())
    assert load_bundle(tmp_path).digest != bundle.digest


def test_a_calibration_is_kept_in_place(tmp_path: Path, graph: bytes) -> None:
    before = save(tmp_path, graph)
    calibration = Calibration(slope=0.5, bias=0.25)
    bins = confidence_bins([0.1, 0.9], [False, True])
    digest = keep_calibration(tmp_path, before, calibration, bins)
    after = load_bundle(tmp_path)
    assert (after.calibration, after.digest) == (calibration, digest)
    assert digest != before.digest and [b.count for b in after.reliability] == [1, 1]
    assert np.isclose(after.reliability[1].mean_confidence, 0.9)


def test_a_trained_bundle_takes_a_calibration_too(tmp_path: Path) -> None:
    given: dict[str, Any] = {"charset": Charset("ab"), "picture": PictureContract(
        height=48, channels=3)}  # fmt: skip
    save_bundle(
        tmp_path, model=tiny_model(given["charset"]), name="x", data_digest="", metrics={}, **given
    )
    before = load_bundle(tmp_path)
    keep_calibration(tmp_path, before, Calibration(slope=0.5))
    after = load_bundle(tmp_path)
    assert after.calibration == Calibration(slope=0.5)
    assert after.weights_sha256 == before.weights_sha256
    assert "0.5" in (tmp_path / CARD_FILE).read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "pickled"}, r"kind is 'pickled'.*\['crnn', 'imported'\]"),
        ({"imported": {"source": "x"}}, "time_steps"),
        ({"picture": {"height": 32, "widths": [32, 999]}}, r"time steps of the widths \[999\]"),
        ({"onnx": None}, "entry onnx is unusable"),
    ],
)
def test_what_makes_no_sense_fails_at_load(
    tmp_path: Path, graph: bytes, changes: dict, words: str
) -> None:
    save(tmp_path, graph)
    edit(tmp_path, **changes)
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path)


def test_a_graph_that_was_changed_fails_at_load(tmp_path: Path, graph: bytes) -> None:
    save(tmp_path, graph)
    (tmp_path / ONNX_FILE).write_bytes(graph + b" ")
    with pytest.raises(BundleError, match=r"model\.onnx has SHA-256"):
        load_bundle(tmp_path)


def test_training_does_not_begin_from_it(tmp_path: Path, graph: bytes) -> None:
    save(tmp_path, graph)
    with pytest.raises(BundleError, match=r"'other'.*'imported'.*crnn teach"):
        starting_bundle(TrainSettings(init_from=str(tmp_path)))
