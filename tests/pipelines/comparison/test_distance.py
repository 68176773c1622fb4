"""Distances that are known without computing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.comparison.distance import distance, uncovered, wasserstein
from pipelines.comparison.result import trait_report

VALUES = st.lists(st.integers(-40, 40), min_size=1, max_size=30).map(
    lambda values: np.array(values, dtype=float)
)

unhurried = settings(deadline=None)


@unhurried
@given(VALUES)
def test_a_set_lies_at_no_distance_from_itself(values: np.ndarray) -> None:
    assert wasserstein(values, values[::-1]) == 0
    assert distance(values, values) == 0


@unhurried
@given(VALUES, st.integers(-50, 50))
def test_a_shift_is_its_own_distance(values: np.ndarray, shift: int) -> None:
    """Also where the other set has another number of samples."""
    assert wasserstein(values, values + shift) == pytest.approx(abs(shift))
    assert wasserstein(values, np.repeat(values + shift, 3)) == pytest.approx(abs(shift))
    if values.std():
        found = distance(values, values + shift)
        assert found == pytest.approx(abs(shift) / values.std())


@unhurried
@given(VALUES, VALUES)
def test_it_is_the_mean_way_between_sorted_samples(one: np.ndarray, other: np.ndarray) -> None:
    """Its definition: of all ways to move one sample onto the other the shortest."""
    pair = [np.sort(np.repeat(one, len(other))), np.sort(np.repeat(other, len(one)))]
    assert wasserstein(one, other) == pytest.approx(np.abs(pair[0] - pair[1]).mean())
    assert wasserstein(one, other) == pytest.approx(wasserstein(other, one))


def test_there_is_no_distance_without_a_unit() -> None:
    equal, none = np.full(5, 3.0), np.empty(0)
    assert distance(equal, equal) == 0
    assert distance(equal, equal + 1) is None
    assert distance(none, equal) is None
    assert distance(equal, none) is None
    assert uncovered(none, equal) is None


def test_what_a_set_does_not_reach_is_uncovered() -> None:
    wide, narrow = np.arange(1000.0), np.arange(250.0, 750.0)
    assert uncovered(wide, narrow) == pytest.approx(0.51, abs=0.002)
    assert uncovered(narrow, wide) == 0
    assert uncovered(wide, wide) == pytest.approx(0.02, abs=0.001)


def test_bins_are_common_and_hold_every_sample() -> None:
    one, other = np.arange(0.0, 10.0, 0.01), np.arange(5.0, 25.0, 0.1)
    report = trait_report([one, other])
    assert [sum(s.counts) for s in report.sets] == [len(one), len(other)]
    assert report.edges[0] <= 0.05
    assert report.edges[-1] >= 24.9
    assert 10 < len(report.edges) <= 32
    assert len({round(b - a, 6) for a, b in zip(report.edges, report.edges[1:], strict=False)}) == 1


@pytest.mark.parametrize("value", [0.0, 7.0, -2.5])
def test_values_that_are_all_equal_have_bins_too(value: float) -> None:
    report = trait_report([np.full(4, value), np.full(3, value)])
    assert [sum(s.counts) for s in report.sets] == [4, 3]
    assert [s.distance for s in report.sets] == [0, 0]


@pytest.mark.parametrize("unit", [1.0, 1.5, 1 / 64])
def test_every_bin_holds_as_many_multiples_of_the_unit(unit: float) -> None:
    """Else a histogram of values that come in steps looks like a comb."""
    report = trait_report([unit * np.arange(-40, 41)], unit=unit)
    assert len(set(report.sets[0].counts[1:-1])) == 1


def test_whole_numbers_have_whole_bins() -> None:
    report = trait_report([np.array([1.0, 2, 2, 3]), np.array([2.0, 3, 9])], unit=1)
    assert all(edge.is_integer() for edge in report.edges)
    assert report.sets[0].counts[:3] == (1, 2, 1)
