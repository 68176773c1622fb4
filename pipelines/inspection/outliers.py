"""Labels that are long or short for the width of their pictures, by what is usual in the data.

Pixels a character, at the contract's height, vary with a label's length (a single letter has
more room), so labels are compared with those of similar length: by the logarithm's distance from
the median, in median absolute deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.inspection.tally import LABELLED, READABLE, Example, Features, Ref

LENGTHS = (1, 2, 3, 5, 9, 17, 33)
"""Where groups of similar length begin."""
LEAST_GROUP = 30
"""Smaller groups tell nothing of what is usual."""
FAR = 5.0
"""Distance from the median, in standard deviations as the median deviation estimates them."""
LEAST_FACTOR = 2.5
"""A label is no outlier by less than this factor, however alike the others are."""
_TO_DEVIATION = 1.4826


class Outliers(NamedTuple):
    """Labels too long, or too short, for their pictures."""

    counts: list[int]
    """By set."""
    examples: list[Example]
    """The farthest first."""
    sets: NDArray[np.int64]
    """Set of each outlier."""
    rows: NDArray[np.int64]
    per_character: NDArray[np.float64]
    """Pixels a character, at the contract's height."""
    usual: NDArray[np.float64]

    def message(self, place: int) -> str:
        """What is said of the one at ``place``."""
        found, usual = self.per_character[place], self.usual[place]
        return f"{found:.1f} px a character, usual are {usual:.1f}"


def outliers(features: Sequence[Features], most_examples: int) -> dict[str, Outliers]:
    """``label_too_long`` and ``label_too_short``."""
    usable = [
        np.flatnonzero((f["flags"] & (READABLE | LABELLED)) == READABLE | LABELLED)
        for f in features
    ]
    sets = np.repeat(np.arange(len(features)), [len(u) for u in usable])
    rows = np.concatenate([np.empty(0, np.int64), *usable])
    width, length = (
        np.concatenate([np.empty(0), *(f[name][u] for f, u in zip(features, usable, strict=True))])
        for name in ("width", "length")
    )
    per_character = width / np.maximum(length, 1)
    away, usual = _away(np.log(np.maximum(per_character, 1e-3)), length, sets)
    found = {}
    for code, sign in (("label_too_long", -1), ("label_too_short", 1)):
        which = np.flatnonzero(sign * away >= 1)
        counts = np.bincount(sets[which], minlength=len(features))
        some = Outliers(
            [int(n) for n in counts], [],
            sets[which], rows[which], per_character[which], np.exp(usual[which]),
        )  # fmt: skip
        for i in np.lexsort((which, -np.abs(away[which])))[:most_examples]:
            ref = Ref(int(some.sets[i]), int(some.rows[i]))
            some.examples.append(Example((ref,), some.message(i)))
        found[code] = some
    return found


def _away(
    values: NDArray[np.float64], length: NDArray[np.float64], sets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signed distance from the group's median, 1 where it begins to be far; and the median.

    A group is of one set; of all of them where the set has too few.
    """
    away, usual = np.zeros(len(values)), np.zeros(len(values))
    group = np.searchsorted(LENGTHS, length, side="right")
    groups = [group == number for number in np.unique(group)]
    groups += [whole & (sets == number) for whole in groups for number in np.unique(sets)]
    for members in groups:
        if members.sum() < LEAST_GROUP:
            continue
        median = np.median(values[members])
        deviation = _TO_DEVIATION * np.median(np.abs(values[members] - median))
        away[members] = (values[members] - median) / max(FAR * deviation, np.log(LEAST_FACTOR))
        usual[members] = median
    return away, usual
