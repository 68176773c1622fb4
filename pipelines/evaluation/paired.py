"""Whether one bundle reads the same labelled samples better than another, or it was chance.

Both have read every sample, so that pairs are compared. Of right and wrong readings: McNemar's test
(Note on the sampling error of the difference between correlated proportions, 1947) in its exact
form, which looks at the samples that one alone has right. Of character errors, and for every
interval: a bootstrap of the groups of samples (Efron and Tibshirani, An introduction to the
bootstrap, 1993), since the lines of one page are misread together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crnn.errors import DataError
from crnn.text.charset import normalise
from pipelines.evaluation.bounds import MEASURES
from pipelines.evaluation.predictions import same_samples

NEEDED = ("group", "label", "text", "confidence", "edits", *MEASURES.values())
"""Columns of the predictions that are looked at."""
POOLED = "all"
"""All sets together."""
CHARACTERS = "characters"
"""The measure of character errors, beside ``MEASURES``."""
RESAMPLES = 10_000
LEVEL = 0.05
"""Chance that is called none."""
_SEED = 20_260
_DRAWN = 1 << 22
"""Numbers of a bootstrap that are in memory together."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One measure over the samples of one set, or of all."""

    count: int
    """Labels that count; of ``CHARACTERS`` their characters."""
    first: int
    """Right readings; of ``CHARACTERS`` the edits that the readings need."""
    second: int
    groups: int
    only_first: int | None
    """Samples that the first one alone has right; None for ``CHARACTERS``."""
    only_second: int | None
    interval: tuple[float, float]
    """95%, of the difference, by a bootstrap of the groups."""
    p_value: float
    """Chance of a difference as great, if both were equally good; two-sided."""
    more_is_better: bool

    @property
    def difference(self) -> float:
        """The second one's share less the first one's."""
        return (self.second - self.first) / self.count

    @property
    def better(self) -> int:
        """2 or 1: which is better, by the p value and the interval both; 0: neither is shown."""
        low, high = self.interval
        if self.p_value >= LEVEL or low <= 0 <= high:
            return 0
        return 2 if (self.difference > 0) == self.more_is_better else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **vars(self),
            "interval": list(self.interval),
            "difference": self.difference,
            "better": ("neither", "first", "second")[self.better],
        }


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact, two-sided p value: both outcomes of a pair that differs are equally likely.

    1 where no pair differs. Exact to rounding for any number of pairs.
    """
    pairs, fewer = only_first + only_second, min(only_first, only_second)
    places = np.arange(1, fewer + 1)
    ratios = np.log(pairs - places + 1) - np.log(places)
    logs = np.concatenate([[0.0], np.cumsum(ratios)]) - pairs * math.log(2)
    most = float(logs.max())
    return min(1.0, 2 * math.exp(most) * float(np.exp(logs - most).sum()))


def paired_tests(first: pa.Table, second: pa.Table) -> dict[str, dict[str, Paired]]:
    """By set, with ``POOLED`` last where there are several, and by measure.

    Args:
        first: predictions with the columns ``NEEDED``.
        second: those of the other bundle.

    Raises:
        DataError: when they aren't of the same samples and labels.
    """
    first, second = same_samples(first, second)
    if not first["label"].equals(second["label"]):
        differ = pc.sum(pc.not_equal(first["label"], second["label"])).as_py()
        raise DataError(
            f"{differ:,} samples have another label in the second evaluation; evaluate both "
            "bundles on the same sets"
        )
    sets = first["set"].to_numpy()
    chosen = {name: sets == name for name in dict.fromkeys(sets.tolist())}
    if len(chosen) > 1:
        chosen[POOLED] = np.ones(len(sets), dtype=np.bool_)
    groups = _groups(first)
    lengths = np.array([len(normalise(label)) for label in first["label"].to_pylist()])
    found: dict[str, dict[str, Paired]] = {}
    for name, mask in chosen.items():
        found[name] = {}
        for measure, column in MEASURES.items():
            counted = mask & first[column].is_valid().to_numpy()
            if counted.any():
                one, then = (_filled(table[column], False)[counted] for table in (first, second))
                found[name][measure] = _of_right(one, then, groups[counted])
        if lengths[mask].any():
            one, then = (_filled(table["edits"], 0)[mask] for table in (first, second))
            found[name][CHARACTERS] = _of_edits(one, then, lengths[mask], groups[mask])
    return found


def in_words(name: str, measure: str, test: Paired, bundles: tuple[str, str]) -> str:
    """One test as a sentence."""
    what = {"exact": "exact", "alnum": "0-9 a-z", CHARACTERS: "character errors"}[measure]
    low, high = (100 * end for end in test.interval)
    both = (
        f"{label} {value / test.count:.2%}"
        for label, value in zip(bundles, (test.first, test.second), strict=True)
    )
    noun = "characters" if measure == CHARACTERS else "samples"
    pairs = ""
    if test.only_first is not None:
        pairs = f", right only by the first {test.only_first:,}, by the second {test.only_second:,}"
    verdict = f"{bundles[test.better - 1]} is better" if test.better else "no difference is shown"
    return (
        f"{name}, {what}: {', '.join(both)} of {test.count:,} {noun}; difference "
        f"{100 * test.difference:+.2f} points (95%: {low:+.2f} to {high:+.2f}){pairs}, "
        f"p = {test.p_value:.2g}: {verdict}"
    )


def ratio_interval(
    differences: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Low and high end of the 95% interval of ``sum(differences) / sum(counts)``, and the
    two-sided p value of its sign, over resamples of the groups that the entries are of."""
    pairs, times = np.unique(np.stack([differences, counts]), axis=1, return_counts=True)
    chances = times / times.sum()
    random = np.random.default_rng(_SEED)
    drawn: list[NDArray[np.float64]] = []
    step = max(1, _DRAWN // len(times))
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        sums = random.multinomial(int(times.sum()), chances, size=size) @ pairs.T
        drawn.append(sums[:, 0] / np.maximum(1, sums[:, 1]))
    ratios = np.concatenate(drawn)
    low, high = np.percentile(ratios, (2.5, 97.5)).tolist()
    tail = min(int((ratios <= 0).sum()), int((ratios >= 0).sum()))
    return low, high, min(1.0, 2 * (tail + 1) / (RESAMPLES + 1))


def _groups(table: pa.Table) -> NDArray[np.int64]:
    """A number for each sample, the same for those of one group of a set."""
    groups = pc.coalesce(table["group"], table["id"])
    keys = pc.binary_join_element_wise(table["set"], groups, "\0").combine_chunks()
    numbers: NDArray[np.int64] = keys.dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


def _of_right(
    right: NDArray[np.bool_], right_then: NDArray[np.bool_], groups: NDArray[np.int64]
) -> Paired:
    difference = right_then.astype(np.int64) - right.astype(np.int64)
    by_group, counts = _summed(groups, difference, np.ones(len(groups), dtype=np.int64))
    low, high, _ = ratio_interval(by_group, counts)
    only = int((difference < 0).sum()), int((difference > 0).sum())
    return Paired(
        count=len(right),
        first=int(right.sum()),
        second=int(right_then.sum()),
        groups=len(counts),
        only_first=only[0],
        only_second=only[1],
        interval=(low, high),
        p_value=mcnemar(*only),
        more_is_better=True,
    )


def _of_edits(
    edits: NDArray[np.int64],
    edits_then: NDArray[np.int64],
    lengths: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> Paired:
    by_group, characters = _summed(groups, edits_then.astype(np.int64) - edits, lengths)
    low, high, p_value = ratio_interval(by_group, characters)
    return Paired(
        count=int(lengths.sum()),
        first=int(edits.sum()),
        second=int(edits_then.sum()),
        groups=len(characters),
        only_first=None,
        only_second=None,
        interval=(low, high),
        p_value=p_value,
        more_is_better=False,
    )


def _summed(
    groups: NDArray[np.int64], *columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], ...]:
    """The columns' sums over each group."""
    _, places = np.unique(groups, return_inverse=True)
    return tuple(np.bincount(places, weights=column).round().astype(np.int64) for column in columns)


def _filled(column: pa.ChunkedArray, empty: Any) -> Any:
    return column.fill_null(empty).to_numpy()


Tests = Mapping[str, Mapping[str, Paired]]
"""What ``paired_tests`` found."""
