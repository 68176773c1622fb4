"""A bundle so small that a test can write many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from crnn.bundle.bundle import BUNDLE_FILE, save_bundle
from crnn.bundle.calibration import Calibration
from crnn.bundle.onnx_file import Proof, ProvenOnnx
from crnn.images.contract import PictureContract
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset

CHARSET = Charset("abé-` |")
PICTURE = PictureContract(height=48, channels=3, widths=(64, 128))
CONFIG = ModelConfig(backbone="mobile", rnn="gru", rnn_hidden=8, rnn_layers=2, dropout=0.1)
PROOF = Proof(
    pictures=1000,
    widths=(64, 128),
    engines={"onnx": "1.32"},
    max_probability_difference=2.5e-6,
    max_confidence_difference=1e-6,
)
ONNX = ProvenOnnx(data=b"a graph", proof=PROOF)
METRICS = {"exact_accuracy": 0.25, "by_length": {"1": 1, "2": None}}


def tiny_model(charset: Charset = CHARSET, config: ModelConfig = CONFIG) -> CRNN:
    model = CRNN(config, num_classes=charset.num_classes, in_channels=3, height=48)
    with torch.no_grad():  # statistics as training would leave them
        model.train()(torch.randn(4, 3, 48, 64))
    return model


def save(folder: Path | str, **changes: Any) -> str:
    given: dict[str, Any] = {
        "model": tiny_model(),
        "charset": CHARSET,
        "picture": PICTURE,
        "calibration": Calibration(slope=0.5, bias=-0.25),
        "decoder": "beam",
        "name": "tiny",
        "data_digest": "d1",
        "metrics": METRICS,
    }
    return save_bundle(folder, **{**given, **changes})


def edit(folder: Path, **changes: Any) -> None:
    """Rewrite bundle.json with other values, as a careless hand would."""
    about = json.loads((folder / BUNDLE_FILE).read_text())
    (folder / BUNDLE_FILE).write_text(json.dumps({**about, **changes}))
