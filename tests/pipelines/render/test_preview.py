"""Contact sheets: a PNG with every sample in it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image

from crnn.images.contract import decode_picture
from pipelines.render.config import RenderConfig
from pipelines.render.fonts import Font
from pipelines.render.preview import SheetConfig, contact_sheet
from pipelines.render.sheets import augmented_sheet, sample_sheet
from pipelines.render.style import BARE
from pipelines.render.synth import chosen_fonts, render_samples

PLAIN_SET = RenderConfig(count=20, system_fonts=False, style=BARE)


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    image.load()
    return image


def test_the_samples_lie_on_the_sheet_in_their_order_with_labels_below() -> None:
    sheet = np.asarray(opened(sample_sheet(PLAIN_SET, 20)).convert("L")).astype(int)
    fonts = chosen_fonts(PLAIN_SET, system=False)
    columns, (cell_w, cell_h) = SheetConfig().columns, SheetConfig().cell_px
    row_px = (sheet.shape[0] - 4) // -(-20 // columns)
    for number, sample in enumerate(render_samples(PLAIN_SET, fonts, 0, 20)):
        x, y = 4 + number % columns * (cell_w + 4), 4 + number // columns * row_px
        paper = int(np.asarray(decode_picture(sample["image"]).convert("L"))[0, 0])
        assert abs(sheet[y, x] - paper) <= 2, number
        label = sheet[y + cell_h : y + row_px - 4, x : x + cell_w]
        assert label.min() < 100, number


def test_the_augmented_sheet_shows_other_pixels_of_the_same_samples() -> None:
    plain, augmented = (opened(f(PLAIN_SET, 12)) for f in (sample_sheet, augmented_sheet))
    assert plain.size == augmented.size
    assert plain.tobytes() != augmented.tobytes()
    assert augmented_sheet(PLAIN_SET, 12) == augmented_sheet(PLAIN_SET, 12)


def test_a_label_is_in_a_face_that_has_its_characters() -> None:
    label, paper = "\u24b6\u24b7", np.zeros((30, 60), np.uint8)  # DejaVu Sans lacks A in a circle
    path = Path(get_data_path()) / "fonts" / "ttf" / "STIXGeneralItalic.ttf"
    other = Font(family="STIX", style="Italic", path=str(path), packaged=True)
    lacking = replace(other, lacks=label)
    tofu, still_tofu, drawn = (
        opened(contact_sheet([(paper, label)], fonts=fonts)).tobytes()
        for fonts in ((), (lacking,), (lacking, other))
    )
    assert tofu == still_tofu != drawn
    plain = [contact_sheet([(paper, "AB")], fonts=fonts) for fonts in ((), (other,))]
    assert plain[0] == plain[1]


def test_long_labels_and_colours_and_odd_sizes_fit() -> None:
    rng = np.random.default_rng(0)
    entries = [
        (rng.integers(0, 256, (h, w, 3), dtype=np.uint8), "W" * 80)
        for h, w in ((1, 1), (200, 3), (3, 900), (64, 64))
    ]
    sheet = opened(contact_sheet(entries, SheetConfig(columns=3, cell_px=(100, 40))))
    assert sheet.width == 3 * 104 + 4
    with pytest.raises(ValueError, match="no picture"):
        contact_sheet([])
