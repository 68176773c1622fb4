"""A network learns right-to-left words from labels in logical order, and says where letters are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont, features

from crnn.decode import build_decoder
from crnn.images.contract import normalise
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch
from crnn.training.optim import OptimConfig
from crnn.training.trainer import Trainer
from tests.crnn.training.pictures import PICTURE

FONT = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
WORDS = ["אב12", "ג5ד", "סלע", "גדab", "سلام", "نور", "می\u200cبر", "شب ۲"]


def drawn(text: str) -> Image.Image:
    font = ImageFont.truetype(FONT, 22, layout_engine=ImageFont.Layout.RAQM)
    image = Image.new("L", (round(font.getlength(text)) + 12, 32), 230)
    ImageDraw.Draw(image).text((6, 2), text, fill=20, font=font)
    return image


@pytest.mark.slow
@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow can't shape Arabic")
def test_words_in_logical_order_are_learnt() -> None:
    charset = Charset.of_texts(WORDS)
    targets = [charset.encode(word) for word in WORDS]
    contents = [PICTURE.fit(np.asarray(drawn(word)))[:, :96] for word in WORDS]
    batch = ReadyBatch(
        images_NHWC=torch.from_numpy(np.stack([PICTURE.pad(c, 96) for c in contents])),
        targets_S=torch.tensor([i for target in targets for i in target]),
        lengths_N=torch.tensor([len(target) for target in targets]),
        ids=tuple(WORDS),
    )
    torch.manual_seed(0)
    model = CRNN(
        ModelConfig(rnn_hidden=32), num_classes=charset.num_classes, in_channels=1, height=32
    )
    config = OptimConfig(lr=5e-3, ema_decay=0.9)
    trainer = Trainer(model, charset, config, total_samples=8 * 130, device=torch.device("cpu"))
    for _ in range(130):
        trainer.train([batch])
    validation = trainer.validate([batch])
    assert validation.sums.exact == 8 and validation.sums.edits == 0
    assert [label for label, _ in validation.examples] == WORDS[: len(validation.examples)]
    with torch.no_grad():
        log_probs_TNC = trainer.average.eval()(normalise(batch.images_NHWC)).log_softmax(-1)
    decoded = build_decoder("greedy")(log_probs_TNC, charset)
    assert [one.text for one in decoded] == WORDS
    firsts = {
        word: [start for start, _ in one.char_steps]
        for word, one in zip(WORDS, decoded, strict=True)
    }
    assert firsts["סלע"] == sorted(firsts["סלע"], reverse=True)
    assert firsts["سلام"] == sorted(firsts["سلام"], reverse=True)
    aleph, bet, one, two = firsts["אב12"]
    assert one < two < bet < aleph
