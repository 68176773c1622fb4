"""A picture that is read more than once: when, which reading counts, and that it is its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crnn import Calibration, PictureContract, Recognizer, Result
from crnn.bundle.reading_policy import READ_ONCE, ReadingPolicy
from crnn.images.prepare import prepare
from tests.crnn.inference.test_recognizer import bars, known_recognizer
from tests.crnn.networks import PICTURE, bundle_of, noise, sharp_model

POLICY = ReadingPolicy(stretches=(1.3, 2.0), below=0.5, turn_from=2.0)
MODEL = sharp_model()
PLAIN = bundle_of(MODEL, calibration=Calibration())
ONCE = Recognizer(PLAIN, batch_pixels=4 * 32 * 64, engine="torch")
TWICE = Recognizer(replace(PLAIN, reading=POLICY), batch_pixels=4 * 32 * 64, engine="torch")
PICTURES = st.builds(
    noise, st.integers(0, 10_000), st.integers(2, 100), st.sampled_from([16, 32, 90, 180])
)
Grey = NDArray[np.uint8]


def by_hand(picture: Grey) -> Result:
    """Every version that the policy may want is read once, alone; the most probable counts."""
    first = prepare(picture, PICTURE)
    height, width = picture.shape
    versions = [first]
    if height >= 2 * width:
        versions += first.turned_both_ways(PICTURE)
    elif ONCE.read(picture).confidence < POLICY.below:
        stretched = (first.stretched(PICTURE, factor) for factor in POLICY.stretches)
        versions += [version for version in stretched if version is not None]
    decode = ONCE.decoder()
    results = [ONCE.read_prepared([one], decode).results()[0] for one in versions]
    return max(results, key=lambda result: result.confidence)


def same(one: Result, other: Result) -> bool:
    return (
        (one.text, one.turned, one.squeezed) == (other.text, other.turned, other.squeezed)
        and math.isclose(one.confidence, other.confidence, abs_tol=1e-4)
        and [c[2:] for c in one.chars] == [c[2:] for c in other.chars]
    )


@settings(max_examples=15, deadline=None)
@given(pictures=st.lists(PICTURES, min_size=1, max_size=10), data=st.data())
def test_what_a_picture_reads_is_its_own_in_any_company_and_order(
    pictures: list[Grey], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(pictures))))
    together = TWICE.read([pictures[n] for n in order])
    for number, result in zip(order, together, strict=True):
        alone = TWICE.read(pictures[number])
        assert same(result, alone)
        assert same(alone, by_hand(pictures[number]))


def test_doubtful_and_tall_pictures_are_among_them() -> None:
    pictures = [noise(seed, 40 + seed, 32) for seed in range(40)]
    pictures += [noise(seed, 45, 90) for seed in range(60)]
    twice, once = TWICE.read(pictures), ONCE.read(pictures)
    assert 5 < sum(a.text != b.text for a, b in zip(twice, once, strict=True)) < 95
    assert all(a.confidence >= b.confidence - 1e-4 for a, b in zip(twice, once, strict=True))
    assert {result.turned for result in twice} == {0, 90, 270}
    assert all(result.turned == 0 for result in twice[:40])


def test_batches_of_second_readings_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = Recognizer(
        replace(PLAIN, reading=ReadingPolicy(below=1.0)), batch_pixels=8 * 32 * 48, engine="torch"
    )
    seen: list[tuple[int, int]] = []
    read = recognizer.read_batch_pixels

    def counted(pixels_NHWC: Grey) -> object:
        seen.append((pixels_NHWC.shape[2], len(pixels_NHWC)))
        return read(pixels_NHWC)

    monkeypatch.setattr(recognizer, "read_batch_pixels", counted)
    recognizer.read([noise(seed, 32) for seed in range(96)])  # 32 px: 12 a batch; 48 px: 8
    assert seen.count((32, 12)) == 8 and seen.count((48, 8)) == 12 and len(seen) == 20


def test_a_stretched_picture_keeps_the_columns_of_its_source() -> None:
    recognizer = known_recognizer(reading=ReadingPolicy(stretches=(2.0,), below=1.0))
    pixels = bars(40, 32, (1, 0, 8), (2, 16, 24), (3, 36, 40))
    result = recognizer.read(pixels)
    assert result.text == "abc" and not result.turned
    for char, (first, past_last) in zip(result.chars, [(0, 8), (16, 24), (36, 40)], strict=True):
        assert (char.x0, char.x1) == pytest.approx((first, past_last), abs=2)


def test_a_time_step_stands_for_fewer_columns_of_its_source_by_the_contracts_stretch() -> None:
    first = prepare(noise(1, 40, 64), replace(PICTURE, stretch=2.0))
    assert (first.content_width_px, first.source_width_px) == (40, 40)
    assert first.source_px_per_step(first.pixels.shape[1] // 4) == 4
    [again] = ReadingPolicy().again(first, -1.0, replace(PICTURE, stretch=2.0))
    assert again.content_width_px == 60
    assert again.source_px_per_step(again.pixels.shape[1] // 4) == pytest.approx(4 / 1.5)


def test_a_turned_picture_has_the_columns_of_the_turned_one() -> None:
    pixels = np.full((96, 32), 255, np.uint8)
    pixels[:8] = 10
    pixels[80:] = 20
    recognizer = known_recognizer(reading=ReadingPolicy())
    result = recognizer.read(pixels)
    assert (result.text, result.turned) == ("ba", 90)  # both ways are sure: the first one counts
    assert [(c.x0, c.x1) for c in result.chars] == [(0, 16), (88, 96)]  # from the bottom edge
    assert known_recognizer(reading=READ_ONCE).read(pixels).text == ""


def test_an_empty_text_has_no_confidence_and_is_no_error() -> None:
    for policy in (READ_ONCE, ReadingPolicy()):
        result = known_recognizer(reading=policy).read(bars(40, 32))
        assert (result.text, result.confidence, result.error_code) == ("", 0.0, None)


def test_nothing_is_stretched_beyond_the_widest_bucket_or_in_fixed_mode() -> None:
    policy = ReadingPolicy(below=1.0)
    contract = PictureContract(widths=(64, 96))
    long = prepare(noise(1, 90), contract)
    [again] = policy.again(long, -1.0, contract)
    assert (again.content_width_px, again.source_width_px, again.pixels.shape[1]) == (96, 90, 96)
    assert policy.again(again, -1.0, contract) == []
    fixed = PictureContract(mode="fixed", widths=(100,))
    assert policy.again(prepare(noise(1, 40), fixed), -1.0, fixed) == []


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(8, 90), stretch=st.sampled_from([1.0, 1.5]))
def test_a_contracts_stretch_is_taken_once_and_the_widest_bucket_known_before(
    width: int, height: int, stretch: float
) -> None:
    contract = replace(PICTURE, stretch=stretch)
    first = prepare(noise(1, width, height), contract)
    readings = [first, *POLICY.again(first, -1.0, contract)]
    buckets = [one.pixels.shape[1] for one in readings]
    assert max(buckets) <= POLICY.widest_bucket(width, height, contract)
    if height < 2 * width:
        assert max(buckets) == POLICY.widest_bucket(width, height, contract)
        widths = {min(96, round(first.content_width_px * by)) for by in (1, 1.3, 2)}
        assert {one.content_width_px for one in readings} == widths


@pytest.mark.parametrize(
    ("log_probability", "doubtful"),
    [(math.log(0.5), False), (math.log(0.49), True), (-math.inf, True), (math.nan, True)],
)
def test_what_is_doubtful(log_probability: float, doubtful: bool) -> None:
    assert ReadingPolicy(below=0.5).is_doubtful(log_probability) is doubtful
