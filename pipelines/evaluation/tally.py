"""What an evaluation counts and keeps, in a form that adds up over row groups.

However many samples there are, a ``ReadingTally`` keeps sums, character confusions and the few
worst readings with their pictures.
"""

from __future__ import annotations

import base64
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any

from rapidfuzz.distance import Levenshtein

from crnn.text.charset import normalise
from crnn.text.metrics import Sums

GALLERY_SIZE = 24
"""Mistakes kept of each kind."""
EXAMPLES = 20
"""Samples listed for each reason."""

Confusion = tuple[str, str]
"""(character of the label, character read); ``""`` on the left is an extra character, on the
right a missed one."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrong reading, with its picture."""

    set: str
    id: str
    label: str
    text: str
    confidence: float
    edits: int
    picture: bytes
    """A JPEG small enough for a page."""

    @property
    def by_confidence(self) -> tuple[float, int, str, str]:
        """Sorts the most confident mistakes last."""
        return self.confidence, self.edits, self.set, self.id

    @property
    def by_edits(self) -> tuple[int, float, str, str]:
        """Sorts the mistakes farthest from their label last."""
        return self.edits, self.confidence, self.set, self.id


@dataclass(frozen=True, kw_only=True, order=True)
class OutOfReach:
    """A sample that no model could read correctly."""

    set: str
    id: str
    label: str
    reason: str
    message: str


@dataclass(kw_only=True)
class ReadingTally:
    """Counts of any number of readings; ``add`` merges another one's."""

    sums: dict[tuple[str, int], Sums] = field(default_factory=lambda: defaultdict(Sums))
    """By set and number of characters in the label."""
    confusions: Counter[Confusion] = field(default_factory=Counter)
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Samples by set and reason."""
    examples: list[OutOfReach] = field(default_factory=list)
    """The first few problems of each reason."""
    confident: list[Mistake] = field(default_factory=list)
    """The most confident mistakes, worst first."""
    distant: list[Mistake] = field(default_factory=list)
    """The mistakes with most edits, worst first."""

    def add(self, other: ReadingTally) -> None:
        """Take in another tally's counts and worst cases."""
        for key, sums in other.sums.items():
            self.sums[key] = self.sums.get(key, Sums()) + sums
        self.confusions.update(other.confusions)
        self.problems.update(other.problems)
        self.keep_examples([*self.examples, *other.examples])
        self.confident = worst_confident([*self.confident, *other.confident])
        self.distant = worst_distant([*self.distant, *other.distant])

    def keep_examples(self, problems: Iterable[OutOfReach]) -> None:
        """Keep the first ``EXAMPLES`` of each reason."""
        kept: dict[str, list[OutOfReach]] = defaultdict(list)
        for problem in problems:
            if len(kept[problem.reason]) < EXAMPLES:
                kept[problem.reason].append(problem)
        self.examples = [problem for group in kept.values() for problem in group]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` gives the same again."""
        return {
            "sums": [[*key, *astuple(sums)] for key, sums in self.sums.items()],
            "confusions": [[*pair, count] for pair, count in self.confusions.items()],
            "problems": [[*key, count] for key, count in self.problems.items()],
            "examples": [asdict(problem) for problem in self.examples],
            "confident": [_mistake_to_dict(mistake) for mistake in self.confident],
            "distant": [_mistake_to_dict(mistake) for mistake in self.distant],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> ReadingTally:
        """What ``to_dict`` gave."""
        tally = cls(
            confusions=Counter({(a, b): count for a, b, count in found["confusions"]}),
            problems=Counter({(name, reason): n for name, reason, n in found["problems"]}),
            examples=[OutOfReach(**problem) for problem in found["examples"]],
            confident=[_mistake_from_dict(mistake) for mistake in found["confident"]],
            distant=[_mistake_from_dict(mistake) for mistake in found["distant"]],
        )
        tally.sums.update({(name, n): Sums(*sums) for name, n, *sums in found["sums"]})
        return tally


def _mistake_to_dict(mistake: Mistake) -> dict[str, Any]:
    return asdict(mistake) | {"picture": base64.b64encode(mistake.picture).decode()}


def _mistake_from_dict(found: Mapping[str, Any]) -> Mistake:
    mistake = Mistake(**found)
    return replace(mistake, picture=base64.b64decode(found["picture"]))


def worst_confident(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """The ``GALLERY_SIZE`` most confident, worst first."""
    return heapq.nlargest(GALLERY_SIZE, mistakes, key=lambda m: m.by_confidence)


def worst_distant(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """The ``GALLERY_SIZE`` with most edits, worst first."""
    return heapq.nlargest(GALLERY_SIZE, mistakes, key=lambda m: m.by_edits)


def confusions(label: str, text: str) -> list[Confusion]:
    """The edits of one shortest way from ``label`` to ``text``, both in NFC."""
    label, text = normalise(label), normalise(text)
    found = []
    for step in Levenshtein.editops(label, text):
        expected = label[step.src_pos] if step.tag != "insert" else ""
        read = text[step.dest_pos] if step.tag != "delete" else ""
        found.append((expected, read))
    return found
