"""``Evaluation``: the outcome, with everything that a report states about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crnn.bundle.calibration import (
    Calibration,
    ConfidenceBin,
    confidence_bins,
    expected_calibration_error,
    fit,
)
from crnn.text.metrics import Sums, wilson_interval
from pipelines.evaluation.tally import Confusion, Mistake, OutOfReach, ReadingTally

CONFIDENCE_BINS = 15


@dataclass(frozen=True, kw_only=True)
class SetInfo:
    """A prepared set that was evaluated."""

    uri: str
    digest: str
    """Digest of its manifest."""
    prepared_rejects: dict[str, int]
    """Inputs that preparation had set aside, by reason; they are no samples of the set."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """How well a bundle reads one or more sets. Sums and counts; only properties divide."""

    bundle_uri: str
    bundle_name: str
    bundle_digest: str
    decoder: str
    lexicon_words: int
    """Size of the lexicon, 0 without."""
    engines: tuple[str, ...]
    """What ran the model: more than one where nodes have different packages."""
    calibration: Calibration
    """The bundle's, which made ``confidences``."""
    held_out_share: float
    limit: int
    sets: dict[str, SetInfo]
    tally: ReadingTally
    log_probabilities: NDArray[np.float64]
    """One for each sample whose picture could be read."""
    confidences: NDArray[np.float64]
    """The same, calibrated."""
    correct: NDArray[np.bool_]
    """Whether those readings are exactly their labels."""
    started: str
    """UTC, ISO 8601."""
    seconds: float
    """From the first task to the last result."""

    @property
    def total(self) -> Sums:
        """Over all sets."""
        return sum(self.tally.sums.values(), Sums())

    @property
    def by_set(self) -> dict[str, Sums]:
        """For each set, in the order given."""
        return {
            name: sum((s for (n, _), s in self.tally.sums.items() if n == name), Sums())
            for name in self.sets
        }

    @property
    def by_length(self) -> dict[int, Sums]:
        """Over all sets, by number of characters in the label."""
        lengths = sorted({length for _, length in self.tally.sums})
        return {
            length: sum((s for (_, n), s in self.tally.sums.items() if n == length), Sums())
            for length in lengths
        }

    @property
    def images_per_s(self) -> float:
        """Pictures read a second, the start of the workers included."""
        return self.total.count / self.seconds if self.seconds > 0 else math.nan

    @property
    def problems(self) -> Counter[str]:
        """Samples that could not be read right, by reason; they count as samples."""
        counts: Counter[str] = Counter()
        for (_, reason), count in self.tally.problems.items():
            counts[reason] += count
        return counts

    @property
    def problem_examples(self) -> list[OutOfReach]:
        """The first few of each reason."""
        return self.tally.examples

    @property
    def confusions(self) -> Counter[Confusion]:
        """Character edits between labels and readings."""
        return self.tally.confusions

    @property
    def most_confident_mistakes(self) -> list[Mistake]:
        """Wrong readings the model was surest of, worst first."""
        return self.tally.confident

    @property
    def most_distant_mistakes(self) -> list[Mistake]:
        """Wrong readings with most edits, worst first."""
        return self.tally.distant

    @property
    def confidence_bins(self) -> list[ConfidenceBin]:
        """Readings by confidence; the data of a reliability plot."""
        return confidence_bins(self.confidences, self.correct, CONFIDENCE_BINS)  # type: ignore[arg-type]

    @property
    def expected_calibration_error(self) -> float:
        """Calibration error of the confidences; NaN if no picture could be read."""
        return expected_calibration_error(self.confidences, self.correct, CONFIDENCE_BINS)  # type: ignore[arg-type]

    def fit_calibration(self) -> Calibration:
        """The calibration that suits these readings best, to be saved with the bundle."""
        return fit(self.log_probabilities, self.correct)  # type: ignore[arg-type]

    def calibrated(self, calibration: Calibration, bundle_uri: str) -> Evaluation:
        """The same readings, with the confidences that a bundle with ``calibration`` gives."""
        confidences = [calibration.apply(value) for value in self.log_probabilities]
        return replace(
            self,
            bundle_uri=bundle_uri,
            calibration=calibration,
            confidences=np.array(confidences, dtype=np.float64),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: every figure of the report but the pictures; NaN becomes null."""
        return {
            "bundle": {
                "uri": self.bundle_uri,
                "name": self.bundle_name,
                "digest": self.bundle_digest,
            },
            "decoder": self.decoder,
            "lexicon_words": self.lexicon_words,
            "engines": list(self.engines),
            "held_out_share": self.held_out_share,
            "limit": self.limit,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "images_per_s": _finite(self.images_per_s),
            "total": measures(self.total),
            "sets": {name: self._set(name, sums) for name, sums in self.by_set.items()},
            "by_length": {str(length): measures(sums) for length, sums in self.by_length.items()},
            "problems": dict(self.problems.most_common()),
            "problem_examples": [vars(problem) for problem in self.problem_examples],
            "confusions": [
                {"expected": expected, "read": read, "count": count}
                for (expected, read), count in self.confusions.most_common()
            ],
            "calibration": {
                "slope": self.calibration.slope,
                "bias": self.calibration.bias,
                "expected_calibration_error": _finite(self.expected_calibration_error),
                "bins": [_finite_values(vars(b)) for b in self.confidence_bins],
            },
            "most_confident_mistakes": _listed(self.most_confident_mistakes),
            "most_distant_mistakes": _listed(self.most_distant_mistakes),
        }

    def _set(self, name: str, sums: Sums) -> dict[str, Any]:
        info = self.sets[name]
        problems = {reason: n for (s, reason), n in self.tally.problems.items() if s == name}
        return {
            "uri": info.uri,
            "digest": info.digest,
            **measures(sums),
            "problems": problems,
            "prepared_rejects": info.prepared_rejects,
        }


def measures(sums: Sums) -> dict[str, Any]:
    """Sums, the ratios made of them, and 95% Wilson intervals of the accuracies."""
    return {
        **sums.to_dict(),
        "exact_accuracy": _finite(sums.exact_accuracy),
        "exact_interval": list(wilson_interval(sums.exact, sums.count)),
        "alnum_accuracy": _finite(sums.alnum_accuracy),
        "alnum_interval": list(wilson_interval(sums.alnum_exact, sums.alnum_count)),
        "letters_accuracy": _finite(sums.letters_accuracy),
        "letters_interval": list(wilson_interval(sums.letters_exact, sums.letters_count)),
        "character_error_rate": _finite(sums.character_error_rate),
        "normalised_edit_similarity": _finite(sums.normalised_edit_similarity),
    }


def _listed(mistakes: Iterable[Mistake]) -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(m).items() if k != "picture"} for m in mistakes]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite_values(values: dict[str, float]) -> dict[str, float | None]:
    return {key: _finite(value) for key, value in values.items()}
