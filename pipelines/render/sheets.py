"""Previews of a rendered set: its first samples as they are, and as training will see them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from crnn.images.contract import PictureContract
from pipelines.augment import AugmentConfig, augment_batch
from pipelines.render.config import RenderConfig, chosen_fonts
from pipelines.render.fields import Pixels
from pipelines.render.fonts import Font
from pipelines.render.preview import SheetConfig, contact_sheet
from pipelines.render.synth import render_samples
from pipelines.shards import Sample

_LINES_SHEET = SheetConfig(columns=4, cell_px=(364, 44))


def sample_sheet(config: RenderConfig, count: int) -> bytes:
    """A PNG with the first ``count`` samples of the set."""
    fonts = _fonts(config)
    samples = render_samples(config, fonts, 0, count)
    entries = [(_pixels(sample), sample["text"]) for sample in samples]
    return contact_sheet(entries, _layout(config), fonts)


def augmented_sheet(config: RenderConfig, count: int) -> bytes:
    """A PNG with the first ``count`` samples, scaled and augmented as for training."""
    contract, fonts = PictureContract(), _fonts(config)
    samples = list(render_samples(config, fonts, 0, count))
    contents = [contract.fit(contract.decode(sample["image"])) for sample in samples]
    seeds = range(len(samples))
    augmented = augment_batch(contents, seeds, AugmentConfig())
    texts = [sample["text"] for sample in samples]
    return contact_sheet(list(zip(augmented, texts, strict=True)), _layout(config), fonts)


def _fonts(config: RenderConfig) -> Sequence[Font]:
    return chosen_fonts(config, system=config.system_fonts)


def _layout(config: RenderConfig) -> SheetConfig:
    return _LINES_SHEET if config.lines else SheetConfig()


def _pixels(sample: Sample) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(sample["image"], np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV decodes what it has encoded"
    return np.asarray(decoded, dtype=np.uint8)
