"""One side of a drift report: what its rows are, counted, and a sample of what they measure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.comparison.traits import Trait
from pipelines.drift.buckets import Numbers

SAMPLED = 200_000
"""Rows beyond which the distributions are those of a sample, the same pictures on both sides."""
TRAITS: dict[str, Trait] = {
    "confidence": Trait(
        title="Confidence", axis="confidence",
        method="Of every row that has one, readings under --min-confidence among them.",
    ),
    "characters": Trait(
        title="Length of the texts", axis="characters read", unit=1,
        method="Characters of every row that was read; 0 where no text was found.",
    ),
    "width_px": Trait(
        title="Width", axis="px", unit=1,
        method="Width of the region, the mean of its upper and its lower side.",
    ),
    "height_px": Trait(
        title="Height", axis="px", unit=1,
        method="Height of the region, the mean of its left and its right side.",
    ),
    "aspect": Trait(
        title="Aspect", axis="width over height", method="Width over height of the region.",
    ),
    "heights_per_character": Trait(
        title="Width of a character", axis="heights a character",
        method="Width over height of the region, over the characters read in it.",
    ),
}  # fmt: skip
"""Everything that is measured of a row, by name. The results have no size of a whole picture, so
that what is measured of regions is unknown for rows without one."""

Values = NDArray[np.float64]


@dataclass(kw_only=True)
class SideCounts:
    """Counts over any number of rows."""

    rows: int = 0
    with_region: int = 0
    empty: int = 0
    """Rows that were read, and have no text."""
    errors: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    """Rows by the digest of the bundle that read them, those with an error included."""
    characters: Counter[str] = field(default_factory=Counter)
    """Counts of the characters that were read."""
    confident: int = 0
    """Rows that have a confidence, and the sum of those:"""
    confidence: float = 0.0
    _numbers: list[Numbers] = field(default_factory=list)
    _values: list[dict[str, Values]] = field(default_factory=list)
    _held: int = 0
    below: int = 2**64 - 1
    """Rows whose number is at most this are in the sample."""

    @property
    def read(self) -> int:
        """Rows without an error."""
        return self.rows - self.errors.total()

    @property
    def mean_confidence(self) -> float | None:
        """Over the rows that have one."""
        return self.confidence / self.confident if self.confident else None

    def take_in(self, table: pa.Table, numbers: Numbers) -> None:
        """Rows of the results with the columns ``text, confidence, region, error_code, model``."""
        self.rows += len(table)
        read = pc.is_null(table["error_code"])
        texts = table.filter(read)["text"].fill_null("")
        self.empty += pc.sum(pc.equal(texts, "")).as_py() or 0
        self.with_region += len(table) - table["region"].null_count
        for name, counter in (("error_code", self.errors), ("model", self.models)):
            for entry in pc.value_counts(table[name].drop_null()).to_pylist():
                counter[entry["values"]] += entry["counts"]
        self.characters.update("".join(texts.to_pylist()))
        known = table["confidence"].drop_null().to_numpy().astype(np.float64)
        self.confident += len(known)
        self.confidence += float(known.sum())
        self._numbers.append(numbers)
        self._values.append(_measured(table, read))
        self._held += len(table)
        if self._held > 2 * SAMPLED:
            self.thin(self.limit())

    def thin(self, below: int) -> None:
        """Keep those rows of the sample alone whose number is at most ``below``."""
        self.below = min(self.below, below)
        keep = [numbers <= np.uint64(self.below) for numbers in self._numbers]
        self._numbers = [n[kept] for n, kept in zip(self._numbers, keep, strict=True)]
        self._values = [
            {name: of[kept] for name, of in values.items()}
            for values, kept in zip(self._values, keep, strict=True)
        ]
        self._held = sum(map(len, self._numbers))

    def limit(self) -> int:
        """The greatest number of a row that a sample of ``SAMPLED`` has."""
        if self._held <= SAMPLED:
            return self.below
        numbers = np.concatenate(self._numbers)
        return int(np.partition(numbers, SAMPLED - 1)[SAMPLED - 1])

    def values(self, name: str) -> Values:
        """A trait of the sample's rows that have it."""
        every = np.concatenate([values[name] for values in self._values] or [np.empty(0)])
        return every[~np.isnan(every)]

    @property
    def sampled(self) -> int:
        """Rows in the sample."""
        return self._held


def _measured(table: pa.Table, read: pa.ChunkedArray) -> dict[str, Values]:
    """Every one of ``TRAITS`` of every row; NaN where it isn't known."""
    lengths = pc.if_else(read, pc.utf8_length(table["text"].fill_null("")), None)
    characters = _numbers(lengths)
    width, height = _sizes(table["region"])
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = np.where(height > 0, width / height, np.nan)
        a_character = np.where(characters > 0, aspect / characters, np.nan)
    return {
        "confidence": _numbers(table["confidence"]),
        "characters": characters,
        "width_px": width,
        "height_px": height,
        "aspect": aspect,
        "heights_per_character": a_character,
    }


def _numbers(column: pa.ChunkedArray) -> Values:
    """Null as NaN."""
    values: Values = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    return values


def _sizes(regions: pa.ChunkedArray) -> tuple[Values, Values]:
    """Width and height of four corners each, px; NaN where there aren't four."""
    width, height = (np.full(len(regions), np.nan) for _ in range(2))
    fits = pc.equal(pc.list_value_length(regions), 8).fill_null(False).to_numpy()
    places = np.flatnonzero(fits)
    if len(places):
        flat = pc.list_flatten(regions.take(pa.array(places))).to_numpy()
        corners = flat.astype(np.float64).reshape(-1, 4, 2)
        sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
        width[places] = (sides[:, 0] + sides[:, 2]) / 2
        height[places] = (sides[:, 1] + sides[:, 3]) / 2
    return width, height
