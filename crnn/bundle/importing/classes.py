"""What the classes of a graph mean, which are kept, and in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crnn.bundle.importing.graph import Floats, Graph
from crnn.errors import DataError
from crnn.text.charset import Charset, normalise, shown

METADATA_KEYS = (
    "character", "characters", "charset", "chars", "vocab", "alphabet", "labels", "dictionary",
)  # fmt: skip
"""Where graphs keep their characters; the first one found counts."""
_TWICE = 2


def from_metadata(metadata: Mapping[str, str]) -> list[str] | None:
    """The characters that a graph's file lists, if it does."""
    found = next((metadata[key] for key in METADATA_KEYS if metadata.get(key)), None)
    return None if found is None else listed(found)


def listed(text: str) -> list[str]:
    """Characters, an entry each: a JSON list, one a line, or all of them in a single line."""
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except ValueError:
            entries = None
        if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
            return entries
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    return lines if len(lines) > 1 else list(lines[0])


def blank_of(graph: Graph, empty: Sequence[Floats]) -> int:
    """The class that ``empty``, ``pictures_NCHW`` without any text, are full of: the first or the
    last one.

    Raises:
        DataError: when neither is.
    """
    read = [graph.scores(pictures).argmax(axis=-1).ravel() for pictures in empty]
    best = np.concatenate(read)
    votes = {place: int((best == place).sum()) for place in (0, graph.num_classes - 1)}
    place = max(votes, key=votes.__getitem__)
    if not votes[place]:
        raise DataError(
            "the class of the CTC blank isn't known, as pictures without text are read as "
            "neither the first nor the last class; give it with --blank: first, last or a number"
        )
    return place


def by_class(entries: Sequence[str], num_classes: int, blank: int) -> dict[int, str]:
    """Class id → entry, of all but the blank.

    A space is appended where exactly that is missing, as PaddleOCR does; a list as long as the
    classes names the blank itself.

    Raises:
        DataError: when the list doesn't fit the classes.
    """
    entries = list(entries)
    if len(entries) == num_classes - 2 and " " not in entries:
        entries.append(" ")
    if len(entries) == num_classes - 1:
        entries.insert(blank, "")
    if len(entries) != num_classes:
        raise DataError(
            f"the graph has {num_classes:,} classes, but the list {len(entries):,} characters; "
            f"expected {num_classes - 1:,}, one for each class but the blank: give the list that "
            "it was trained with, --characters FILE"
        )
    return {place: entry for place, entry in enumerate(entries) if place != blank}


@dataclass(frozen=True, kw_only=True)
class Classes:
    """What is kept of a graph's classes."""

    order: tuple[int, ...]
    """The graph's ids: blank, those of the charset's characters, and further ids of the last
    ``merged`` of these characters, in the same order."""
    merged: int
    charset: Charset
    left_out: tuple[str, ...]
    """Entries that are no single character, or a character's third and later classes."""
    num_cut: int
    """Classes of characters that weren't wanted."""

    def of(self, log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-probabilities over the charset, of those over the graph's classes (last axis)."""
        kept = log_probs[..., list(self.order)]
        kept = kept - np.logaddexp.reduce(kept, axis=-1, keepdims=True)
        if not self.merged:
            return kept
        single = self.charset.num_classes - self.merged
        pairs = np.logaddexp(
            kept[..., single : single + self.merged], kept[..., single + self.merged :]
        )
        return np.concatenate([kept[..., :single], pairs], axis=-1)


def choose(entries: Mapping[int, str], blank: int, wanted: str | None = None) -> Classes:
    """The classes to keep: all characters, or those of ``wanted``.

    Two classes of one character in NFC, as of a compatibility ideograph, become one.

    Raises:
        DataError: when the graph lacks a character of ``wanted``, or has none at all.
    """
    ids: dict[str, list[int]] = {}
    left_out, num_cut = [], 0
    for place, entry in entries.items():
        character = normalise(entry)
        if len(character) != 1:
            left_out.append(entry)
        elif wanted is not None and character not in wanted:
            num_cut += 1
        elif len(ids.setdefault(character, [])) < _TWICE:
            ids[character].append(place)
        else:
            left_out.append(entry)
    missing = [c for c in wanted or "" if normalise(c) not in ids]
    if missing:
        raise DataError(
            f"the graph can't write {shown(missing)} of --charset; leave these characters out"
        )
    if not ids:
        raise DataError("the graph has no class for a single character")
    single = [c for c, places in ids.items() if len(places) == 1]
    double = [c for c, places in ids.items() if len(places) > 1]
    first = [ids[c][0] for c in [*single, *double]]
    return Classes(
        order=(blank, *first, *(ids[c][1] for c in double)),
        merged=len(double),
        charset=Charset("".join([*single, *double])),
        left_out=tuple(left_out),
        num_cut=num_cut,
    )
