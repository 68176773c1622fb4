"""How good readings are, as sums that add up over batches, workers and data sets.

``score`` looks at one reading, ``Sums`` add, and only their properties divide.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from rapidfuzz.distance import Levenshtein

from crnn.text.charset import normalise

_NOT_ALNUM = re.compile("[^0-9a-z]")
_MARKS = ("Mn", "Mc")
"""Accents and vowel signs: parts of letters."""


@dataclass(frozen=True)
class Sums:
    """Counts over any number of readings; ``Sums()`` is the zero of their addition.

    The ratios are NaN while there is nothing to divide by.
    """

    count: int = 0
    """Readings."""
    exact: int = 0
    """Readings equal to their label, character for character."""
    alnum_count: int = 0
    """Readings whose label has any of 0-9 and a-z, in either case."""
    alnum_exact: int = 0
    """Those that equal their label in lower case with only 0-9 and a-z kept."""
    letters_count: int = 0
    """Readings whose label has a letter or a digit of any script."""
    letters_exact: int = 0
    """Those that equal their label in Unicode letters, marks and digits, ignoring case."""
    edits: int = 0
    """Levenshtein distances between readings and labels."""
    characters: int = 0
    """Characters of the labels."""
    similarity: float = 0.0
    """1 − distance / length of the longer one, for each reading."""

    def __add__(self, other: Sums) -> Sums:
        if not isinstance(other, Sums):
            return NotImplemented
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))

    __radd__ = __add__

    @property
    def exact_accuracy(self) -> float:
        """Share of readings that are right in every character."""
        return _ratio(self.exact, self.count)

    @property
    def alnum_accuracy(self) -> float:
        """Share of readings right as the scene-text benchmarks count (lower case, 0-9 and a-z).

        Labels without any of these don't count.
        """
        return _ratio(self.alnum_exact, self.alnum_count)

    @property
    def letters_accuracy(self) -> float:
        """Share of readings right in letters and digits of any script, ignoring case.

        Labels without any of these don't count.
        """
        return _ratio(self.letters_exact, self.letters_count)

    @property
    def character_error_rate(self) -> float:
        """All edits per label character; above 1 when readings are much longer than labels."""
        return _ratio(self.edits, self.characters)

    @property
    def normalised_edit_similarity(self) -> float:
        """Mean over readings of 1 − distance / length of the longer one."""
        return _ratio(self.similarity, self.count)

    def to_dict(self) -> dict[str, float]:
        """The sums by name, as plain numbers for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, sums: Mapping[str, float]) -> Sums:
        """The inverse of ``to_dict``.

        Sums that were written when every label counted for ``alnum`` come without those counts.

        Raises:
            ValueError: naming the keys that are missing or unknown.
        """
        expected = {f.name for f in fields(cls)}
        later = {"alnum_count": sums.get("count", 0), "letters_count": 0, "letters_exact": 0}
        if not sums.keys() & later.keys():
            sums = {**later, **sums}
        if set(sums) != expected:
            raise ValueError(
                f"sums lack {sorted(expected - set(sums))} and have unknown "
                f"{sorted(set(sums) - expected)}; expected exactly {sorted(expected)}"
            )
        return cls(**sums)  # type: ignore[arg-type]


def score(prediction: str, label: str) -> Sums:
    """The sums of one reading; both texts are compared in NFC."""
    prediction, label = normalise(prediction), normalise(label)
    alnum, letters = alnum_form(label), letters_form(label)
    return Sums(
        count=1,
        exact=int(prediction == label),
        alnum_count=int(bool(alnum)),
        alnum_exact=int(bool(alnum) and alnum_form(prediction) == alnum),
        letters_count=int(bool(letters)),
        letters_exact=int(bool(letters) and letters_form(prediction) == letters),
        edits=Levenshtein.distance(prediction, label),
        characters=len(label),
        similarity=Levenshtein.normalized_similarity(prediction, label),
    )


def alnum_form(text: str) -> str:
    """``text`` as the scene-text benchmarks compare it: lower case, only 0-9 and a-z kept."""
    return _NOT_ALNUM.sub("", text.lower())


def letters_form(text: str) -> str:
    """``text`` with only letters, the marks on them, and digits of any script, case folded."""
    if text.isascii():
        return alnum_form(text)
    folded = unicodedata.normalize("NFC", text.casefold())
    kept = "".join(c for c in folded if c.isalnum() or unicodedata.category(c) in _MARKS)
    return kept if any(map(str.isalnum, kept)) else ""


def wilson_interval(successes: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a proportion (Wilson 1927); ``z`` 1.96 gives 95%.

    With no trials it is all of (0, 1).

    Raises:
        ValueError: unless 0 ≤ ``successes`` ≤ ``count``.
    """
    if not 0 <= successes <= count:
        raise ValueError(f"{successes} successes of {count}; expected 0 up to the count")
    if count == 0:
        return 0.0, 1.0
    share = successes / count
    weight = z * z / count
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == count else min(1.0, centre + half)
    return low, high


def _ratio(total: float, count: int) -> float:
    return total / count if count else math.nan
