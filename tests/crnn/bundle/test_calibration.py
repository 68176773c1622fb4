"""Calibration: what was drawn from a known curve is found again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crnn.bundle.calibration import Calibration, confidence_bins, expected_calibration_error, fit


def draws(
    slope: float, bias: float, count: int = 40_000, seed: int = 0
) -> tuple[list[float], NDArray[np.bool_]]:
    """Log-probabilities, and whether each text is right, drawn from the given curve."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.5, 2.0, count)
    log_probabilities = -np.logaddexp(0, -log_odds)
    truth = 1 / (1 + np.exp(-(slope * log_odds + bias)))
    return log_probabilities.tolist(), rng.random(count) < truth


@pytest.mark.parametrize(("slope", "bias"), [(1.0, 0.0), (0.5, -1.0), (2.0, 1.5), (0.1, 3.0)])
def test_fit_recovers_the_curve_of_the_draws(slope: float, bias: float) -> None:
    log_probabilities, correct = draws(slope, bias)
    found = fit(log_probabilities, correct.tolist())
    assert found.slope == pytest.approx(slope, abs=0.06)
    assert found.bias == pytest.approx(bias, abs=0.08)


def test_fit_lowers_the_calibration_error() -> None:
    log_probabilities, correct = draws(0.4, -1.0)
    before = [math.exp(value) for value in log_probabilities]
    calibration = fit(log_probabilities, correct.tolist())
    after = [calibration.apply(value) for value in log_probabilities]
    assert expected_calibration_error(before, correct.tolist()) > 0.1
    assert expected_calibration_error(after, correct.tolist()) < 0.02


@given(st.floats(-50, -1e-5))
def test_the_default_changes_nothing(log_probability: float) -> None:
    assert Calibration().apply(log_probability) == pytest.approx(math.exp(log_probability))


@given(st.floats(-1e4, 0), st.floats(-1e4, 0), st.floats(0, 5), st.floats(-10, 10))
def test_confidence_is_a_probability_that_never_falls(
    one: float, other: float, slope: float, bias: float
) -> None:
    calibration = Calibration(slope=slope, bias=bias)
    low, high = calibration.apply(min(one, other)), calibration.apply(max(one, other))
    assert 0 <= low <= high <= 1


def test_the_ends_of_the_scale() -> None:
    lenient = Calibration(slope=0.1, bias=5.0)
    assert lenient.apply(-math.inf) == 0.0
    assert lenient.apply(math.nan) == 0.0
    assert Calibration().apply(0.0) == pytest.approx(1.0, abs=1e-5)
    assert Calibration().apply(1e-7) == Calibration().apply(0.0)  # a float32 sum just above 0


@pytest.mark.parametrize("verdict", [True, False])
def test_one_sided_readings_leave_the_default(verdict: bool) -> None:
    assert fit([-0.1, -2.0, -5.0], [verdict] * 3) == Calibration()


def test_nothing_to_fit_leaves_the_default() -> None:
    assert fit([], []) == Calibration()
    assert fit([-math.inf, math.nan], [False, True]) == Calibration()


def test_impossible_readings_do_not_bend_the_curve() -> None:
    log_probabilities, correct = draws(0.5, -1.0, count=2000)
    alone = fit(log_probabilities, correct.tolist())
    bent = fit([*log_probabilities, *[-math.inf] * 500], [*correct.tolist(), *[False] * 500])
    assert bent == alone


def test_separable_readings_stay_finite_and_in_order() -> None:
    calibration = fit([-0.01, -0.02, -6.0, -7.0], [True, True, False, False])
    assert calibration.apply(-0.01) > 0.5 > calibration.apply(-6.0)


def test_log_odds_that_point_the_wrong_way_give_the_base_rate() -> None:
    calibration = fit([-0.01] * 50 + [-6.0] * 50, [False] * 50 + [True] * 50)
    assert calibration.slope == 0
    assert calibration.apply(-0.01) == pytest.approx(0.5)


def test_perfectly_calibrated_draws_have_a_small_error() -> None:
    rng = np.random.default_rng(1)
    confidences = rng.random(50_000)
    correct = rng.random(50_000) < confidences
    assert expected_calibration_error(confidences.tolist(), correct.tolist()) < 0.01


def test_calibration_error_of_known_readings() -> None:
    confidences, correct = [0.9, 0.9, 0.9, 0.9, 0.1], [True, True, False, False, False]
    assert expected_calibration_error(confidences, correct, bins=10) == pytest.approx(
        (4 * 0.4 + 1 * 0.1) / 5
    )
    assert math.isnan(expected_calibration_error([], []))


def test_bins_hold_every_reading_once() -> None:
    bins = confidence_bins([0.0, 0.24, 0.25, 0.99, 1.0], [False, True, True, True, True], bins=4)
    assert [b.count for b in bins] == [2, 1, 0, 2]
    assert [(b.low, b.high) for b in bins] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]
    assert (bins[0].mean_confidence, bins[0].accuracy) == pytest.approx((0.12, 0.5))
    assert math.isnan(bins[2].accuracy)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="2 values and 1 verdicts"):
        fit([-1.0, -2.0], [True])
    with pytest.raises(ValueError, match="outside 0 to 1"):
        expected_calibration_error([-0.5], [True])
    with pytest.raises(ValueError, match="bins is 0"):
        confidence_bins([0.5], [True], bins=0)
    with pytest.raises(ValueError, match="slope is -1"):
        Calibration(slope=-1.0)
