"""Pictures: all of the text, its own glyphs only, and as varied as the style says, not more."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import lru_cache
from random import Random

import cv2
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ImageFont

from crnn.images.contract import decode_picture
from crnn.text.charset import CHARSETS
from pipelines.render.draw import draw
from pipelines.render.fonts import Font
from pipelines.render.page import compose
from pipelines.render.style import BARE, FULL, PLAIN, STYLES, StyleConfig, named_style
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples
from pipelines.render.tones import against, brightness, pick_tones, tone
from tests.pipelines.render.faces import CODES, packaged

WARPED = replace(BARE, shear=0.12, rotation_deg=1.5, spacing_share=0.25)
BENT = replace(
    WARPED, rotation_deg=3, turned_share=0.5, perspective_share=0.5, curve_share=0.5, stretch=0.25
)
SEEDS = st.integers(0, 2**32)
FACES = st.deferred(lambda: st.sampled_from(packaged()))
unhurried = settings(deadline=None)


def grey(data: bytes) -> NDArray[np.int64]:
    return np.asarray(decode_picture(data).convert("L")).astype(int)


@unhurried
@given(st.text(CODES, min_size=1, max_size=12), FACES, SEEDS, st.sampled_from([BARE, WARPED, BENT]))
def test_text_is_never_clipped(text: str, font: Font, seed: int, style: StyleConfig) -> None:
    """Where nothing else varies, the outermost pixels are all paper, and there is ink inside."""
    picture = draw(text, font, np.random.default_rng(seed), style)
    pixels = grey(picture.data)
    assert pixels.shape == (picture.height, picture.width)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert np.ptp(border) <= 2
    assert np.abs(pixels - border[0]).max() > 25


@unhurried
@given(st.text(CODES, min_size=1, max_size=11), FACES)
def test_each_character_adds_its_width(text: str, font: Font) -> None:
    """The same margins and size for both: the generator's draws don't depend on the text."""
    short = draw(text, font, np.random.default_rng(5), BARE)
    long = draw(text + "0", font, np.random.default_rng(5), BARE)
    assert long.width > short.width + 3


@unhurried
@given(FACES, SEEDS, st.sampled_from([PLAIN, FULL]))
def test_the_generator_decides_every_byte(font: Font, seed: int, style: StyleConfig) -> None:
    first = draw("2026-11-22", font, np.random.default_rng(seed), style, others=["NEAR", "BY"])
    again = draw("2026-11-22", font, np.random.default_rng(seed), style, others=["NEAR", "BY"])
    assert first == again


SHARES = [f.name for f in fields(StyleConfig) if f.name.endswith("_share")]
UNSEEN_ALONE = {
    *("italic_share", "loose_share"),  # amounts of theirs are 0 in the bare style
    *("condensed_share", "thin_share"),  # choose the face, before anything is drawn
    "dots_apart_share",  # of what is printed dot by dot
}


@pytest.mark.parametrize("share", [s for s in SHARES if s not in UNSEEN_ALONE])
def test_each_effect_changes_the_picture_and_can_stand_alone(share: str) -> None:
    font = next(f for f in packaged() if f.key == "Lato/Black")
    changed = 0
    for seed in range(6):
        bare, with_it = (
            draw("SALE", font, np.random.default_rng(seed), style, others=["OTHER", "TEXT"])
            for style in (BARE, replace(BARE, **{share: 1.0}))
        )
        assert decode_picture(with_it.data).size == (with_it.width, with_it.height)
        changed += with_it.data != bare.data
    assert changed >= 4


def test_what_is_printed_dot_by_dot_is_made_of_whole_dots() -> None:
    font = next(f for f in packaged() if f.key == "Lato/Black")
    touching = replace(BARE, dots_share=1.0, dots=(12, 12), dots_apart_share=0.0)
    page = compose("M0", font, 40, Random(1), touching, ["H8"])
    pitch = page.size_px // 12
    assert page.size_px >= 40
    assert set(np.unique(page.mask_HW)) == {0, 255}
    bits = page.mask_HW[::pitch, ::pitch]
    np.testing.assert_array_equal(page.mask_HW, bits.repeat(pitch, axis=0).repeat(pitch, axis=1))
    apart = compose("M0", font, 40, Random(1), replace(touching, dots_apart_share=1.0), ["H8"])
    assert 0.4 < apart.mask_HW.sum() / page.mask_HW.sum() < 0.9
    middle = pitch // 2
    np.testing.assert_array_equal(apart.mask_HW[middle::pitch, middle::pitch], bits)


def test_a_photograph_is_seen_behind_the_text() -> None:
    """A photograph of a steep ramp tilts the paper; without one it is even."""
    font = packaged()[0]
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :], 128, axis=0)
    photo = cv2.merge([ramp] * 3)
    style = replace(BARE, photo_share=1.0, photo=2.0, size_px=(40, 40))
    tilts = []
    for seed in range(12):
        picture = draw("8", font, np.random.default_rng(seed), style, photos=[photo])
        pixels = grey(picture.data)
        tilts.append(pixels[0, -1] - pixels[0, 0])
    assert np.mean(np.array(tilts) > 3) > 0.7


def test_other_words_are_seen_beside_but_never_whole() -> None:
    """With room for a whole word, no more than the least gap and a fifth of an em is shown."""
    font = next(f for f in packaged() if f.key == "Lato/Black")
    style = replace(
        BARE, beside_share=1.0, margin_em=(2.0, 2.0), size_px=(40, 40), gap_em=(0.3, 0.3)
    )
    alone = replace(style, beside_share=0.0)
    for seed in range(10):
        near = draw("HH", font, np.random.default_rng(seed), style, others=["MM"])
        far = draw("HH", font, np.random.default_rng(seed), alone)
        assert far.width - 4.0 * 40 + 2 * 0.5 * 40 + 2 >= near.width


@unhurried
@given(SEEDS, st.sampled_from([PLAIN, FULL, replace(FULL, contrast=(120, 130))]))
def test_ink_and_paper_are_as_far_apart_as_asked(seed: int, style: StyleConfig) -> None:
    dice = Random(seed)
    tones = pick_tones(dice, style)
    assert style.contrast[0] - 0.01 <= abs(tones.contrast) <= style.contrast[1] + 0.01
    for level in (*tones.ink, *tones.paper):
        assert -0.01 <= level <= 255.01
    other = against(tones.ink, style.chroma, dice, apart=60)
    assert abs(brightness(other) - brightness(tones.ink)) > 59
    assert brightness(tone(90, 200, dice)) == pytest.approx(90)


@lru_cache
def relative_widths(low: float, high: float) -> NDArray[np.float64]:
    """Width over height of a word's ink, as a multiple of that without widening."""
    font = next(f for f in packaged() if f.key == "Lato/Black")
    bare = replace(BARE, margin_em=(0.1, 0.1), size_px=(60, 60))
    style = replace(bare, widen_share=1.0, widen=(low, high))
    found = []
    for seed in range(80):
        usual, wide = (draw("HAMBURG", font, np.random.default_rng(seed), s) for s in (bare, style))
        assert usual.height == wide.height
        found.append((wide.width - 12) / (usual.width - 12))
    return np.array(found)


def test_letters_are_widened_and_narrowed_as_far_as_asked() -> None:
    """Real crops have letters of half to 1.7 times their face's width, at the same height."""
    found = relative_widths(0.5, 1.7)
    assert 0.48 < found.min() < 0.54
    assert 1.58 < found.max() < 1.72
    assert np.median(found) == pytest.approx(math.sqrt(0.5 * 1.7), abs=0.13)
    for ratio in (0.5, 1.7):
        assert relative_widths(ratio, ratio) == pytest.approx(ratio, abs=0.01)


def test_stretch_is_a_logarithm_of_width_over_height() -> None:
    font = next(f for f in packaged() if f.key == "Lato/Black")
    bare = replace(BARE, margin_em=(-0.001, -0.001), size_px=(60, 60))
    shapes = []
    for seed in range(80):
        one, other = (
            draw("HAMBURG", font, np.random.default_rng(seed), style)
            for style in (bare, replace(bare, stretch=0.4))
        )
        shapes.append(other.width / other.height / (one.width / one.height))
    assert min(shapes) == pytest.approx(math.exp(-0.4), abs=0.06)
    assert max(shapes) == pytest.approx(math.exp(0.4), abs=0.06)


def test_cuts_take_room_and_then_text_on_some_sides() -> None:
    """Never more than asked: half as much beside the text as above and below it."""
    font = next(f for f in packaged() if f.key == "Lato/Black")
    bare = replace(BARE, margin_em=(-0.001, -0.001), size_px=(60, 60))
    style = replace(bare, cut_share=1.0, cut_em=0.2)
    less = []
    for seed in range(60):
        whole, cut = (draw("HAMBURG", font, np.random.default_rng(seed), s) for s in (bare, style))
        less.append((whole.width - cut.width, whole.height - cut.height))
    beside, above = np.array(less).T
    assert beside.min() >= -1
    assert 8 <= beside.max() <= 2 * 0.1 * 60 + 1
    assert 16 <= above.max() <= 2 * 0.2 * 60 + 1
    assert (above <= 0).mean() > 0.1  # not all sides


def test_a_text_without_ink_is_refused() -> None:
    for text in ("", " "):
        with pytest.raises(ValueError, match="visible"):
            draw(text, packaged()[0], np.random.default_rng(0))


# the styles as a whole


@lru_cache
def drawn(style: str, count: int = 500) -> tuple[NDArray[np.float64], ...]:
    """Contrast, height px, width px and light-on-dark of samples, measured in the pictures."""
    config = RenderConfig(
        count=count, content="english", charset="ascii", max_length=24, style=STYLES[style]
    )
    fonts = chosen_fonts(config, system=False)
    rows = []
    for sample in render_samples(config, fonts, 0, count):
        pixels = grey(sample["image"]).astype(np.uint8)
        level, _ = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
        light = pixels > level
        contrast = np.median(pixels[light]) - np.median(pixels[~light]) if light.any() else 0.0
        border = np.concatenate([light[0], light[-1]]).mean()
        rows.append((contrast, *pixels.shape, border < 0.5))
    return tuple(np.array(rows, dtype=float).T)


@pytest.mark.parametrize(
    ("style", "contrasts", "heights", "light_on_dark"),
    [
        ("plain", (75, 130, 220), (21, 40, 66), (0.2, 0.45)),
        ("full", (15, 60, 160), (14, 30, 68), (0.35, 0.65)),
    ],
)
def test_samples_are_as_varied_as_the_style_says(
    style: str,
    contrasts: tuple[float, float, float],
    heights: tuple[float, float, float],
    light_on_dark: tuple[float, float],
) -> None:
    """The least tenth is above the first figure, the middle near the second, the most below the
    third, all in grey levels and px."""
    contrast, height, width, dark = drawn(style)
    for values, (low, middle, high) in ((contrast, contrasts), (height, heights)):
        tenth, half, most = np.percentile(values, [10, 50, 90])
        assert low <= tenth < middle < most
        assert 0.7 * middle < half < 1.6 * middle
        assert most <= 1.2 * high
    assert light_on_dark[0] < dark.mean() < light_on_dark[1]
    assert width.max() < 1600
    assert 1.5 < np.median(width / height) < 6


@pytest.mark.parametrize("lines", [False, True])
def test_no_sample_shows_a_glyph_that_its_font_lacks(lines: bool) -> None:
    """Font by font: each character drawn is in the file's character map and leaves ink."""
    maps: dict[str, dict[int, str]] = {}
    faces: dict[str, ImageFont.FreeTypeFont] = {}
    config = RenderConfig(
        count=300,
        content="english",
        charset="ascii_space" if lines else "ascii",
        lines=lines,
        max_length=30,
    )
    for font in chosen_fonts(config, system=True):
        (sample,) = render_samples(config, [font], 7, 8)
        with TTFont(font.path, fontNumber=font.index, lazy=True) as tables:
            maps[font.key] = tables.getBestCmap()
        faces[font.key] = ImageFont.truetype(font.path, 40, font.index)
        for character in sample["text"]:
            assert ord(character) in maps[font.key], (font.key, sample["text"])
            inked = any(bytes(faces[font.key].getmask(character)))
            assert inked != character.isspace(), (font.key, sample["text"])


def test_styles_have_names_and_amounts_can_be_changed() -> None:
    style = named_style("full", {"blur_em": 0.01, "size_px_low": 60, "size_px_high": 70})
    assert (style.blur_em, style.size_px) == (0.01, (60, 70))
    assert style == replace(FULL, blur_em=0.01, size_px=(60, 70))
    for name, adjust, named in [
        ("fancy", {}, "plain, full"),
        ("full", {"blurr": 1.0}, "'blurr'"),
        ("full", {"size_px": 40.0}, "size_px_low"),
        ("full", {"glow_share": 2.0}, "glow_share"),
    ]:
        with pytest.raises(ValueError, match=named):
            named_style(name, adjust)


@pytest.mark.parametrize(
    "amounts",
    [
        {"size_px": (4.0, 20.0)},
        {"contrast": (0.0, 20.0)},
        {"jpeg_quality": (90, 20)},
        {"spacing_em": (0.2, 0.1)},
        {"noise_sigma": -1.0},
        {"widen": (0.1, 1.0)},
        {"dots": (4.0, 20.0)},
        {"widen": (1.0, 9.0)},
        {"condensed_share": 0.6, "thin_share": 0.5},
        {"blur_em": float("nan")},
    ],
)
def test_impossible_amounts_are_refused_by_name(amounts: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(amounts))):
        StyleConfig(**amounts)  # type: ignore[arg-type]


def test_every_character_of_ascii_can_be_drawn_in_both_styles() -> None:
    font = next(f for f in packaged() if f.family == "DejaVu Sans")
    for number, character in enumerate(CHARSETS["ascii"]):
        for style in STYLES.values():
            assert draw(character, font, np.random.default_rng(number), style).width >= 4
