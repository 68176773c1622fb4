"""What a bundle lost against the one that it was trained from: by set and by character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crnn.text.charset import shown
from crnn.text.metrics import Sums
from pipelines.evaluation.result import Evaluation, measures

_LISTED = 10
_LEAST_COUNT = 20
"""Occurrences below which a character's share says little."""


@dataclass(frozen=True, kw_only=True)
class CharacterLoss:
    """One character in the labels of both evaluations."""

    character: str
    count: int
    """Occurrences."""
    before: float
    after: float
    """Shares of them that were read right."""

    @property
    def lost(self) -> float:
        """Share of all occurrences; negative: gained."""
        return self.before - self.after


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Two evaluations of the same sets."""

    sets: Mapping[str, tuple[Sums, Sums]]
    """For each set before and after."""
    characters: tuple[CharacterLoss, ...]
    """All characters of the labels, those that lost most first."""

    @property
    def most_lost(self) -> float:
        """Share of its samples that the set that lost most reads exactly no longer."""
        return max(
            (one.exact_accuracy - now.exact_accuracy for one, now in self.sets.values()),
            default=0.0,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "sets": {
                name: {"before": measures(before), "after": measures(after)}
                for name, (before, after) in self.sets.items()
            },
            "characters": [vars(one) | {"lost": one.lost} for one in self.characters],
        }

    def lines(self) -> list[str]:
        """For a person: a line a set, and the characters that lost most."""
        told = [
            f"kept apart, {name}: {before.exact_accuracy:.2%} read exactly before, "
            f"{after.exact_accuracy:.2%} now; letters and digits {before.alnum_accuracy:.2%}, "
            f"{after.alnum_accuracy:.2%} ({after.count:,} pictures)"
            for name, (before, after) in self.sets.items()
        ]
        gone = [one.character for one in self.characters if one.before and not one.after]
        worst = [c for c in self.characters if c.lost > 0 and c.count >= _LEAST_COUNT][:_LISTED]
        if worst:
            listed = (f"{shown(c.character)} {c.before:.0%} to {c.after:.0%}" for c in worst)
            told.append(f"characters that lost most: {', '.join(listed)}")
        return [*told, *([f"characters no longer read at all: {shown(gone)}"] if gone else [])]


def losses(before: Evaluation, after: Evaluation, characters: Mapping[str, int]) -> Losses:
    """What ``after`` lost against ``before``.

    Args:
        before: of the bundle that training began with.
        after: of the trained one, over the same sets.
        characters: occurrences in the labels of all sets.
    """
    wrong = [_misread(evaluation) for evaluation in (before, after)]
    found = [
        CharacterLoss(
            character=character,
            count=count,
            before=1 - wrong[0][character] / count,
            after=1 - wrong[1][character] / count,
        )
        for character, count in characters.items()
    ]
    return Losses(
        sets={name: (before.by_set[name], after.by_set[name]) for name in after.sets},
        characters=tuple(sorted(found, key=lambda one: (-one.lost * one.count, one.character))),
    )


def _misread(evaluation: Evaluation) -> Counter[str]:
    """Occurrences in labels that were read as something else, or not at all."""
    counts: Counter[str] = Counter()
    for (expected, _), count in evaluation.confusions.items():
        if expected:
            counts[expected] += count
    return counts
