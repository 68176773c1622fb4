"""``Drift``: all there is to tell of two results laid beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pipelines.comparison.result import TraitReport, summary_dict, trait_report
from pipelines.drift.changes import CHANGES, Changes
from pipelines.drift.side import TRAITS, SideCounts
from pipelines.recognition.summary import plain

CHARACTERS_SHOWN = 30


@dataclass(frozen=True, kw_only=True)
class ResultsSource:
    """The results of one bulk job."""

    name: str
    uri: str
    """The ``model=…`` folder."""
    parts: tuple[str, ...]
    """Addresses of its files."""


class CharacterShare(NamedTuple):
    """One character, by its share of all characters read."""

    character: str
    first: float
    second: float


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Two results; only properties divide."""

    sources: tuple[ResultsSource, ResultsSource]
    sides: tuple[SideCounts, SideCounts]
    changes: Changes

    @cached_property
    def traits(self) -> Mapping[str, TraitReport]:
        """The distributions that either side has."""
        found = {
            name: trait_report([side.values(name) for side in self.sides], unit=trait.unit)
            for name, trait in TRAITS.items()
        }
        return {name: one for name, one in found.items() if any(s.samples for s in one.sets)}

    @property
    def unknown(self) -> list[str]:
        """What can't be known of these rows, in sentences."""
        told = []
        for source, side in zip(self.sources, self.sides, strict=True):
            bare = side.rows - side.with_region
            if bare:
                told.append(
                    f"{source.name}: {bare:,} of {side.rows:,} rows are of whole pictures, whose "
                    "width and height the results don't have"
                )
        return told

    @property
    def characters(self) -> list[CharacterShare]:
        """Every character by how much its share has changed, most first."""
        first, second = (side.characters for side in self.sides)
        totals = [max(1, one.total()) for one in (first, second)]
        shares = [
            CharacterShare(c, first[c] / totals[0], second[c] / totals[1])
            for c in {*first, *second}
        ]
        return sorted(shares, key=lambda one: (-abs(one.second - one.first), one.character))

    @property
    def character_distance(self) -> float | None:
        """Total variation distance of the characters read, 0 (alike) to 1 (nothing in common);
        None where one side has none."""
        if not all(side.characters for side in self.sides):
            return None
        return sum(abs(one.second - one.first) for one in self.characters) / 2

    @property
    def confidence_moved(self) -> float | None:
        """Mean of second less first over the pictures that both read alike."""
        changes = self.changes
        return changes.confidence_moved / changes.same_text if changes.same_text else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        changes = self.changes
        return {
            "results": [
                _side_dict(source, side)
                for source, side in zip(self.sources, self.sides, strict=True)
            ],
            "traits": {
                name: {
                    "unit": TRAITS[name].axis,
                    "method": TRAITS[name].method,
                    "edges": list(report.edges),
                    "results": [summary_dict(summary) for summary in report.sets],
                }
                for name, report in self.traits.items()
            },
            "unknown": self.unknown,
            "character_distance": self.character_distance,
            "characters": [one._asdict() for one in self.characters],
            "pictures": {
                "matched": changes.matched,
                "only_first": changes.only_first,
                "only_second": changes.only_second,
                "other_version": changes.other_version,
                "same_text": changes.same_text,
                "confidence_moved": self.confidence_moved,
                "changed": {kind: changes.changed[kind] for kind in CHANGES},
                "changed_of_other_version": changes.changed_of_other_version,
                "edits": changes.edits,
                "repeated": [changes.repeated_first, changes.repeated_second],
            },
            "examples": [plain(example) for example in changes.examples],
        }


def _side_dict(source: ResultsSource, side: SideCounts) -> dict[str, Any]:
    return {
        "name": source.name,
        "uri": source.uri,
        "rows": side.rows,
        "read": side.read,
        "empty_texts": side.empty,
        "errors": dict(side.errors.most_common()),
        "models": dict(side.models.most_common()),
        "mean_confidence": side.mean_confidence,
        "sampled": side.sampled,
        "with_region": side.with_region,
    }
