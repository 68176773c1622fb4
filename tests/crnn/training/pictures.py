"""Small ready batches of drawn digits for the training tests."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from crnn.images.contract import PictureContract
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch

CHARSET = Charset("0123456789")
PICTURE = PictureContract(widths=(64, 96))


def drawn(text: str) -> Image.Image:
    """Dark digits on light paper, about as wide as they need."""
    font = ImageFont.load_default(size=26)
    image = Image.new("L", (16 * len(text) + 12, 32), 230)
    ImageDraw.Draw(image).text((5, 0), text, fill=20, font=font)
    return image


def batch_of(texts: list[str], *, width: int = 64, charset: Charset = CHARSET) -> ReadyBatch:
    """A ready batch of these texts, ids ``sample-TEXT``."""
    targets = [charset.encode(text) for text in texts]
    pixels = [PICTURE.pad(PICTURE.fit(np.asarray(drawn(text)))[:, :width], width) for text in texts]
    return ReadyBatch(
        images_NHWC=torch.from_numpy(np.stack(pixels)),
        targets_S=torch.tensor([i for target in targets for i in target], dtype=torch.int64),
        lengths_N=torch.tensor([len(target) for target in targets], dtype=torch.int64),
        ids=tuple(f"sample-{text}" for text in texts),
    )


def small_model(seed: int = 0) -> CRNN:
    """A seeded ``mobile`` with a narrow RNN."""
    torch.manual_seed(seed)
    config = ModelConfig(rnn_hidden=32)
    return CRNN(config, num_classes=CHARSET.num_classes, in_channels=1, height=32)
