"""What one task found in its rows, and the sum of all of them.

Per sample 39 bytes stay (``FEATURES``); everything else is counts, the first few examples, and the
notes of what is wrong, which go to disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.inspection.notes import Note, Notes

READABLE, VARIED, LABELLED = 1, 2, 4
"""Flags: the picture decodes; it is not all one value; its label has something to see."""
FEATURES = np.dtype(
    [
        ("bytes", "<u8"),  # digest of the encoded picture
        ("pixels", "<u8"),  # digest of the decoded one
        ("look", "<u8"),  # difference hash
        ("text", "<u8"),  # digest of the label in NFC
        ("width", "<u2"),  # px at the contract's height, the aspect kept
        ("length", "<u2"),  # characters
        ("steps", "<u2"),  # fewest time steps that can hold the label
        ("flags", "u1"),
    ]
)
MOST = 65535
"""Larger widths and lengths count as this."""
Features = NDArray[np.void]


class Ref(NamedTuple):
    """A sample by its set and its row in it, in the set's order."""

    set: int
    row: int


@dataclass(frozen=True)
class Example:
    """One sample, or several that only together show what is wrong."""

    refs: tuple[Ref, ...]
    message: str


@dataclass(kw_only=True)
class RowTally:
    """Tally of some rows of one set, from ``start`` on."""

    set: int
    start: int
    most_examples: int
    rare_below: int
    features: Features
    counts: Counter[str] = field(default_factory=Counter)
    """Samples by finding."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Samples by finding and reason, where a finding has several."""
    examples: defaultdict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))
    characters: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    """Labels by character that the charset lacks."""
    labels_of: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The first rows whose labels have a character: at most ``rare_below``, and one at least."""
    noted: list[Note] = field(default_factory=list)
    """Every finding, in the task; packed when the piece is done."""
    packed: bytes = b""
    """The same as it travels, see ``notes``."""

    @property
    def rows(self) -> int:
        """Rows looked at."""
        return len(self.features)

    def note(self, code: str, row: int, message: str, reason: str = "") -> None:
        """Row ``row`` of the set has the trouble ``code``."""
        self.counts[code] += 1
        self.noted.append(Note(row, code, message))
        if reason:
            self.reasons[code, reason] += 1
        if len(self.examples[code]) < self.most_examples:
            self.examples[code].append(Example((Ref(self.set, row),), message))

    def count_characters(self, row: int, text: str) -> None:
        """The characters of a label in NFC."""
        self.characters.update(text)
        for character in set(text):
            rows = self.labels_of[character]
            if len(rows) < max(self.rare_below, 1):
                rows.append(row)


class Total:
    """All tallies, added in any order; ``finish`` sorts them."""

    def __init__(self, num_sets: int, *, most_examples: int, rare_below: int) -> None:
        self.most_examples, self._most_rows = most_examples, max(rare_below, 1)
        self.counts: list[Counter[str]] = [Counter() for _ in range(num_sets)]
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.characters: list[Counter[str]] = [Counter() for _ in range(num_sets)]
        self.unknown: Counter[str] = Counter()
        self.features: list[Features] = []
        """The rows of each set in order; set by ``finish``."""
        self.notes = Notes()
        self._parts: list[dict[int, Features]] = [{} for _ in range(num_sets)]
        self._examples: defaultdict[tuple[str, int], list[Example]] = defaultdict(list)
        self._labels_of: defaultdict[tuple[str, int], list[int]] = defaultdict(list)

    def add(self, tally: RowTally) -> None:
        """Take in what a task found."""
        number = tally.set
        self.counts[number].update(tally.counts)
        self.reasons.update(tally.reasons)
        self.characters[number].update(tally.characters)
        self.unknown.update(tally.unknown)
        self._parts[number][tally.start] = tally.features
        self.notes.add(number, tally.start, tally.packed)
        for code, found in tally.examples.items():
            kept = self._examples[code, number]
            kept[:] = sorted([*kept, *found], key=lambda e: e.refs)[: self.most_examples]
        for character, rows in tally.labels_of.items():
            first = self._labels_of[character, number]
            first[:] = sorted([*first, *rows])[: self._most_rows]

    def finish(self) -> None:
        """All tallies are in: put the samples in order."""
        empty = np.empty(0, FEATURES)
        for parts in self._parts:
            self.features.append(np.concatenate([empty, *(parts[key] for key in sorted(parts))]))
            parts.clear()

    @property
    def samples(self) -> int:
        """Rows looked at."""
        return sum(len(f) for f in self.features)

    def all_characters(self) -> Counter[str]:
        """How often each occurs in all sets."""
        return sum(self.characters, Counter())

    def labels_of(self, character: str, *, in_set: int | None = None) -> list[Ref]:
        """The first labels that have a character; all of them where it is rare."""
        sets = range(len(self.counts)) if in_set is None else [in_set]
        return [Ref(n, row) for n in sets for row in self._labels_of.get((character, n), ())]

    def examples(self, code: str) -> list[Example]:
        """A few of a finding, from all sets in turn."""
        by_set = [self._examples.get((code, number), []) for number in range(len(self.counts))]
        turns = [
            (turn, number, example)
            for number, found in enumerate(by_set)
            for turn, example in enumerate(found)
        ]
        turns.sort(key=lambda entry: entry[:2])
        return [example for _, _, example in turns[: self.most_examples]]
