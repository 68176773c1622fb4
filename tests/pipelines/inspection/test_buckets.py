from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.images.contract import PictureContract
from pipelines.inspection.buckets import STEP_PX, WIDEST_PX, measure, propose
from pipelines.inspection.shapes import MOST_BINS, Shape, histogram, too_long


def test_padding_is_counted_in_pixels() -> None:
    found = measure(np.array([10, 64, 65, 100, 600]), (64, 128))
    assert [(b.width_px, b.pictures) for b in found.buckets] == [(64, 2), (128, 3)]
    assert found.buckets[0].padded_share == pytest.approx(1 - 74 / 128)
    assert found.buckets[1].padded_share == pytest.approx(1 - (65 + 100 + 128) / 384)
    assert found.padded_share == pytest.approx(1 - (74 + 65 + 100 + 128) / (128 + 384))
    assert (found.squeezed, found.squeezed_share, found.pixels) == (1, 0.2, 512)


def test_the_buckets_are_those_of_the_contract() -> None:
    contract = PictureContract()
    widths = np.random.default_rng(0).integers(1, 700, 500)
    expected = [contract.bucket_width(int(w), contract.height) for w in widths]
    found = measure(widths, contract.widths)
    assert {b.width_px: b.pictures for b in found.buckets if b.pictures} == {
        w: expected.count(w) for w in set(expected)
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=40), st.integers(1, 4))
def test_no_choice_of_widths_pads_less(values: list[int], number: int) -> None:
    widths = np.array(values)
    proposed = propose(widths, number)
    top = proposed[-1]
    assert len(proposed) <= number
    assert list(proposed) == sorted(set(proposed))
    assert top == -(-max(values) // STEP_PX) * STEP_PX
    below = range(STEP_PX, top, STEP_PX)
    best = min(
        measure(widths, (*some, top)).pixels
        for k in range(number)
        for some in itertools.combinations(below, k)
    )
    assert measure(widths, proposed).pixels == best


def test_a_few_long_pictures_do_not_decide_the_largest_bucket() -> None:
    widths = np.array([100] * 2000 + [5000, 400, 300])
    assert propose(widths, 2) == (104, 304)  # 2 of 2003 may be longer
    assert propose(np.array([5000] * 10), 3) == (WIDEST_PX,)
    assert propose(widths, 2, widest_px=256) == (104, 256)


def test_labels_too_long_by_bucket() -> None:
    shape = Shape(
        width_px=np.array([20, 60, 70, 500]),
        length=np.array([9, 9, 9, 9]),
        steps=np.array([17, 16, 24, 33]),
    )
    assert too_long(shape, (64, 96, 128), lambda width: width // 4) == 2
    assert too_long(shape, (32, 64, 96, 512), lambda width: width // 4) == 1


def test_histograms_keep_every_sample() -> None:
    values = np.append(np.random.default_rng(0).exponential(40, 4998), [9000.0, 7.0])
    bins = histogram(values, 2)
    assert sum(b.samples for b in bins) == 5000
    assert len(bins) <= MOST_BINS
    assert bins[-1].high is None
    for b in bins[:-1]:
        assert b.high is not None
        assert b.samples == ((values >= b.low) & (values < b.high)).sum()
    assert histogram(np.array([]), 2) == ()
    assert [tuple(b) for b in histogram(np.array([3, 3, 5]), 1)] == [
        (3, 4, 2),
        (4, 5, 0),
        (5, 6, 1),
    ]
