"""Augmentation: identity at 0, same shape, seeded, and never destroying what is written."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.augment import AugmentConfig, Pixels, augment, augment_batch

SHARES = [f.name for f in dataclasses.fields(AugmentConfig) if f.name.endswith("_share")]
unhurried = settings(deadline=None)
SIZES = st.tuples(st.integers(1, 300), st.sampled_from([1, 3]))


def only(share: str | None = None, **fields: float) -> AugmentConfig:
    """Nothing ever happens but what ``share`` names, and that always."""
    shares = {name: float(name == share) for name in SHARES}
    return AugmentConfig(**{**shares, **fields})


def picture(width: int, channels: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (32, width, channels), dtype=np.uint8)


def word(width: int = 128) -> Pixels:
    """Dark ink on light paper with the margins of a tight crop."""
    content = np.full((32, width, 1), 200, dtype=np.uint8)
    content[4:28, 6 : width - 6 : 4] = 60
    return content


@unhurried
@given(SIZES, st.integers(0, 1000))
def test_strength_zero_is_the_identity(size: tuple[int, int], seed: int) -> None:
    content = picture(*size)
    out = augment(content, np.random.default_rng(seed), AugmentConfig(strength=0))
    assert (out == content).all()
    assert not np.shares_memory(out, content)


@unhurried
@given(SIZES, st.integers(0, 1000), st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_shape_and_type_are_kept_the_input_is_not_touched_and_the_seed_decides(
    size: tuple[int, int], seed: int, strength: float
) -> None:
    content = picture(*size)
    before = content.copy()
    content.flags.writeable = False
    config = AugmentConfig(strength=strength)
    first = augment(content, np.random.default_rng(seed), config)
    again = augment(content, np.random.default_rng(seed), config)
    assert first.shape == content.shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (content == before).all()


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_distortion_changes_pixels_and_can_stand_alone(share: str, channels: int) -> None:
    content = np.repeat(word(), channels, axis=2)
    changed = [
        (augment(content, np.random.default_rng(seed), only(share)) != content).any()
        for seed in range(8)
    ]
    assert any(changed)


def test_a_view_into_a_larger_array_is_read_as_it_is() -> None:
    canvas = picture(200, 3)
    view = canvas[:, 20:120]
    for seed in range(20):
        from_view = augment(view, np.random.default_rng(seed), AugmentConfig())
        from_copy = augment(view.copy(), np.random.default_rng(seed), AugmentConfig())
        assert (from_view == from_copy).all()


@unhurried
@given(st.integers(0, 1000))
def test_inversion_exchanges_light_and_dark(seed: int) -> None:
    content = word()
    out = augment(content, np.random.default_rng(seed), only("inversion_share"))
    assert (out == 255 - content).all()


@unhurried
@given(st.integers(0, 155), st.integers(40, 100), st.integers(0, 1000))
def test_tone_changes_keep_the_contrast_and_drown_nothing(low: int, span: int, seed: int) -> None:
    content = np.where(word() == 60, low, low + span).astype(np.uint8)
    out = augment(content, np.random.default_rng(seed), only("tone_share"))
    ink, paper = out[content == low], out[content == low + span]
    assert np.ptp(ink) == 0
    assert np.ptp(paper) == 0
    ratio = (int(paper[0]) - int(ink[0])) / span
    slack = 1 / span  # rounding
    assert math.exp(-0.3) - slack <= ratio <= math.exp(0.3) + slack


@unhurried
@given(st.integers(64, 512), st.integers(0, 1000))
def test_geometry_keeps_a_tight_word_in_the_picture(width: int, seed: int) -> None:
    """As much ink as before, but for its size, and its middle within a few pixels.

    Text shrinks by up to 8% each way, and the corners of 32 px come in by up to 2 px each: to 0.7.
    """
    content = word(width)
    out = augment(content, np.random.default_rng(seed), only("geometry_share"))
    before, after = 200.0 - content[..., 0], 200.0 - out[..., 0]
    assert 0.7 <= after.sum() / before.sum() <= 1.2
    rows = np.arange(32)
    middle = (before.sum(axis=1) @ rows) / before.sum()
    assert (after.sum(axis=1) @ rows) / after.sum() == pytest.approx(middle, abs=3)


def test_noise_has_the_strength_asked_for_at_most() -> None:
    content = np.full((32, 400, 1), 128, dtype=np.uint8)
    spreads = [
        float(augment(content, np.random.default_rng(s), only("noise_share")).std())
        for s in range(50)
    ]
    assert 0.8 * 12 < max(spreads) < 1.1 * 12


@unhurried
@given(st.integers(0, 300))
def test_grey_stays_grey_in_three_channels(seed: int) -> None:
    content = np.repeat(word(), 3, axis=2)
    config = AugmentConfig(jpeg_share=0)
    out = augment(content, np.random.default_rng(seed), config).astype(int)
    assert np.ptp(out, axis=2).max() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strength", -1.0),
        ("strength", 4.0),
        ("tone_share", 1.5),
        ("blur_sigma", math.nan),
        ("shear", math.inf),
    ],
)
def test_nonsense_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        AugmentConfig(**{field: value})


@unhurried
@given(st.lists(SIZES, min_size=1, max_size=6), st.integers(0, 1000), st.sampled_from([0, 1, 2.5]))
def test_a_picture_does_not_depend_on_its_batch(
    sizes: list[tuple[int, int]], seed: int, strength: float
) -> None:
    contents = [picture(width, channels, seed + i) for i, (width, channels) in enumerate(sizes)]
    seeds, config = [seed * 7919 + i for i in range(len(sizes))], AugmentConfig(strength=strength)
    together = augment_batch(contents, seeds, config)
    for content, one_seed, out in zip(contents, seeds, together, strict=True):
        (alone,) = augment_batch([content], [one_seed], config)
        assert (alone == out).all()
        assert out.shape == content.shape


def test_seeds_of_64_bits_make_even_and_unlike_draws() -> None:
    """Neighbouring seeds share nothing: each distortion happens about as often as it should."""
    config, content = only("inversion_share", inversion_share=0.3), word()
    seeds = [*range(1000), *(2**64 - 1 - i for i in range(1000))]
    inverted = [
        bool((out != content).any()) for out in augment_batch([content] * 2000, seeds, config)
    ]
    assert np.mean(inverted[:1000]) == pytest.approx(0.3, abs=0.05)
    assert np.mean(inverted[1000:]) == pytest.approx(0.3, abs=0.05)
    repeats = np.mean([a == b for a, b in itertools.pairwise(inverted)])
    assert repeats == pytest.approx(0.3**2 + 0.7**2, abs=0.05)


def test_no_picture_is_no_work() -> None:
    assert augment_batch([], [], AugmentConfig()) == []
