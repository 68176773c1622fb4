"""From a text's CTC probability to a confidence: the probability that the whole text is right.

Two numbers fitted on held-out readings (Platt 1999, "Probabilistic outputs for support vector
machines") are part of the bundle and are applied to all its readings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOG_PROBABILITY_RANGE = (-60.0, -1e-6)
"""Where log-probabilities are clipped; beyond its upper end a float32 sum is rounding noise."""
_MOST_ODDS = 700.0
"""Log-odds beyond which ``exp`` has no float."""
_NEWTON_STEPS = 100
_TOLERANCE = 1e-10


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """``confidence = sigmoid(slope · logit(probability) + bias)``; the default changes nothing."""

    slope: float = 1.0
    """How fast confidence follows the CTC log-odds; below 1 for an over-confident model."""
    bias: float = 0.0
    """Log-odds added to every text."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.bias) and self.slope >= 0):
            raise ValueError(
                f"slope is {self.slope} and bias {self.bias}; "
                "expected finite numbers and a slope of at least 0"
            )

    def apply(self, log_probability: float) -> float:
        """The confidence, 0 to 1, of a text with this natural log CTC probability.

        Never falls as the argument rises. An impossible text (``-inf``) and one whose
        probability is unknown (NaN) get 0.
        """
        if not log_probability > -math.inf:
            return 0.0
        low, high = LOG_PROBABILITY_RANGE
        clipped = min(max(log_probability, low), high)  # plain floats: one call for each picture
        log_odds = self.slope * (clipped - math.log(-math.expm1(clipped))) + self.bias
        return 1 / (1 + math.exp(-log_odds)) if log_odds > -_MOST_ODDS else 0.0


@dataclass(frozen=True, kw_only=True)
class ConfidenceBin:
    """The readings whose confidence lies in one interval."""

    low: float
    high: float
    count: int
    mean_confidence: float
    """NaN when the bin is empty."""
    accuracy: float
    """NaN when the bin is empty."""


def fit(log_probabilities: Sequence[float], correct: Sequence[bool]) -> Calibration:
    """The calibration under which these held-out readings are most probable.

    Platt's smoothed targets keep it finite, Newton's method with step halving finds it (Lin,
    Lin & Weng 2007). Readings of log-probability ``-inf`` or NaN are left out, as ``apply``
    gives them 0 in any case. If the rest are all right or all wrong there is nothing to fit, and
    the default comes back. If the log-odds point the wrong way, the slope is 0 and every confidence
    the share of right readings.

    Raises:
        ValueError: when the two sequences differ in length.
    """
    given, right = _paired(log_probabilities, correct)
    usable = given > -math.inf
    log_odds, right = _log_odds(given[usable]), right[usable]
    num_right = int(right.sum())
    num_wrong = len(right) - num_right
    if not num_right or not num_wrong:
        return Calibration()
    targets = np.where(right > 0, (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2))
    slope, bias = _newton(log_odds, targets)
    if slope < 0:
        share = float(targets.mean())
        return Calibration(slope=0.0, bias=math.log(share / (1 - share)))
    return Calibration(slope=slope, bias=bias)


def confidence_bins(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 15
) -> list[ConfidenceBin]:
    """Readings sorted into ``bins`` intervals of equal width over 0 to 1, empty ones included.

    Raises:
        ValueError: when the sequences differ in length, ``bins`` is under 1, or a confidence is
            not within 0 to 1.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1")
    given, right = _paired(confidences, correct)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("some confidences are outside 0 to 1; calibrate log-probabilities first")
    which = np.minimum((given * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(which, weights=given, minlength=bins) / counts
        shares = np.bincount(which, weights=right, minlength=bins) / counts
    return [
        ConfidenceBin(
            low=i / bins,
            high=(i + 1) / bins,
            count=int(counts[i]),
            mean_confidence=float(means[i]),
            accuracy=float(shares[i]),
        )
        for i in range(bins)
    ]


def expected_calibration_error(
    confidences: Sequence[float], correct: Sequence[bool], bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins (Guo et al. 2017).

    Weighted by the readings in each bin; NaN when there are none. Raises as
    ``confidence_bins`` does.
    """
    return calibration_error(confidence_bins(confidences, correct, bins))


def calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """The same of readings that are in bins already."""
    filled = [b for b in bins if b.count]
    total = sum(b.count for b in filled)
    gaps = sum(b.count * abs(b.mean_confidence - b.accuracy) for b in filled)
    return gaps / total if total else math.nan


def _paired(values: Sequence[float], correct: Sequence[bool]) -> tuple[NDArray, NDArray]:
    if len(values) != len(correct):
        raise ValueError(
            f"{len(values)} values and {len(correct)} verdicts; expected one verdict for each"
        )
    return np.asarray(values, dtype=np.float64), np.asarray(correct, dtype=np.float64)


def _log_odds(log_probability: ArrayLike) -> NDArray:
    """``logit(exp(·))`` without leaving log space."""
    clipped = np.clip(np.asarray(log_probability, dtype=np.float64), *LOG_PROBABILITY_RANGE)
    return clipped - np.log(-np.expm1(clipped))


def _sigmoid(log_odds: ArrayLike) -> NDArray:
    return np.exp(-np.logaddexp(0.0, -np.asarray(log_odds, dtype=np.float64)))


def _newton(log_odds: NDArray, targets: NDArray) -> tuple[float, float]:
    """Slope and bias of the least cross-entropy between ``targets`` and the sigmoid."""
    columns = np.stack([log_odds, np.ones_like(log_odds)], axis=1)
    weights = np.array([0.0, np.log(targets.mean() / (1 - targets.mean()))])
    loss = _cross_entropy(columns @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        shares = _sigmoid(columns @ weights)
        gradient = columns.T @ (shares - targets) / len(targets)
        curvature = (columns * (shares * (1 - shares))[:, None]).T @ columns / len(targets)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        scale, before = 1.0, loss
        loss = _cross_entropy(columns @ (weights - step), targets)
        while loss > before and scale > 1e-10:
            scale /= 2
            loss = _cross_entropy(columns @ (weights - scale * step), targets)
        if before - loss < _TOLERANCE:
            break
        weights = weights - scale * step
    return float(weights[0]), float(weights[1])


def _cross_entropy(log_odds: NDArray, targets: NDArray) -> float:
    return float(np.mean(np.logaddexp(0.0, log_odds) - targets * log_odds))
