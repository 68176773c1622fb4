"""Scripts that run from the right or join their letters: shaped, or refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image, ImageFont

from crnn.errors import DataError
from pipelines.render.config import RenderConfig, check_inputs, chosen_fonts
from pipelines.render.fonts import Font
from pipelines.render.glyphs import Setting, can_shape, check_shaping, set_line
from pipelines.render.synth import render_samples

DEJAVU = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
FONT = Font(family="DejaVu Sans", style="Book", path=str(DEJAVU), packaged=True)
shaping = pytest.mark.skipif(not can_shape(), reason="this Pillow can't shape")


@pytest.mark.parametrize("text", ["שלום", "سلام", "١٢", "नमस्ते", "สวัสดี", "e\u0301\u0323"])
def test_without_shaping_a_script_that_needs_it_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match="libraqm and FriBiDi") as raised:
        check_shaping(f"abc {text}", shaping=False)
    assert any(character in str(raised.value) for character in text)
    assert "abc" not in str(raised.value)
    check_shaping(f"abc {text}", shaping=True)


def test_without_shaping_other_scripts_are_drawn() -> None:
    check_shaping("abc ÄÖ 123 Жжя Ωω 漢字 かな €", shaping=False)


@shaping
def test_a_right_to_left_word_is_one_piece_as_the_shaper_draws_it() -> None:
    text = "می\u200cخواهم (12)"
    line = set_line(text, FONT, 40, Setting(spacing_px=9.0))
    (placed,) = line.placed
    face = ImageFont.truetype(DEJAVU, 40, layout_engine=ImageFont.Layout.RAQM)
    mask, _ = face.getmask2(text, "L", anchor="ls")
    assert placed.glyph.mask.shape == mask.size[::-1]
    assert placed.glyph.mask.tobytes() == bytes(mask)


@shaping
def test_words_of_hebrew_arabic_and_persian_are_rendered_with_logical_labels() -> None:
    words = ("שלום", "مرحبا", "می\u200cخواهم", "کتاب ۱۲۳")
    config = RenderConfig(count=24, words=words, split="all", fonts="all")
    check_inputs(config)
    samples = list(render_samples(config, chosen_fonts(config, system=False), 0, 24))
    assert {sample["text"] for sample in samples} == set(words)
    for sample in samples:
        assert np.asarray(Image.open(io.BytesIO(sample["image"])).convert("L")).std() > 5
