"""Untrained networks that read each picture as another text, without near ties; as bundles."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crnn import Bundle, Calibration, Charset, PictureContract
from crnn.engines.export import export_onnx
from crnn.images.contract import normalise
from crnn.model.network import CRNN, ModelConfig

CHARSET = Charset("abcdefgh")
PICTURE = PictureContract(widths=(32, 48, 64, 96))
CONFIG = ModelConfig(backbone="mobile", rnn_hidden=16)
Pixels = NDArray[np.uint8]


def noise(seed: int, width: int, height: int = 32) -> Pixels:
    """A grey picture of coarse random blocks, which scaling doesn't turn into grey."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (4, -(-width // 8)), dtype=np.uint8)
    return np.kron(blocks, np.ones((-(-height // 4), 8), dtype=np.uint8))[:height, :width]


def noise_batch(count: int, width: int, picture: PictureContract = PICTURE) -> Pixels:
    """A batch of such pictures."""
    greys = [noise(seed, width, picture.height) for seed in range(count)]
    return np.repeat(np.stack(greys)[..., None], picture.channels, axis=3)


def sharp_model(
    config: ModelConfig = CONFIG, charset: Charset = CHARSET, picture: PictureContract = PICTURE
) -> CRNN:
    """Random weights, sharpened until different pictures give different texts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = CRNN(
            config,
            num_classes=charset.num_classes,
            in_channels=picture.channels,
            height=picture.height,
        )
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics become those of the first batch
    with torch.no_grad():
        model.train()(normalise(torch.from_numpy(noise_batch(16, 96, picture))))
        for name, weight in model.rnn.named_parameters():
            weight.mul_(4 if "weight_ih" in name else 1)
        model.head.weight.mul_(12)
    return model.eval()


@cache
def sharp_onnx() -> bytes:
    """``sharp_model()`` as ONNX; exporting takes seconds."""
    return export_onnx(bundle_of(sharp_model()))


def bundle_of(model: CRNN, **changes: Any) -> Bundle:
    """A bundle in memory."""
    given: dict[str, Any] = {
        "model": model,
        "model_config": CONFIG,
        "charset": CHARSET,
        "picture": PICTURE,
        "decoder": "greedy",
        "calibration": Calibration(slope=0.1, bias=1.0),
        "name": "untrained",
        "data_digest": "",
        "metrics": {},
        "digest": "abc123",
    }
    return Bundle(**{**given, **changes})
