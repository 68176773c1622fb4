"""What another bundle read of the same pictures: where two differ is what to label first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.distance import Levenshtein

from crnn.files import storage
from crnn.text.charset import normalise
from pipelines.recognition.finished import PLACE, check_finished, key_of, read_part, results_at

_READ = [*PLACE, "text", "confidence"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One picture as the other bundle read it."""

    text: str
    confidence: float
    """0 to 1."""


class Beside:
    """The readings of another bundle, in memory: about 150 bytes a picture."""

    def __init__(self, results: str, remedy: str | None) -> None:
        """From the output folder of a bulk job, or one of its ``model=…`` folders.

        Args:
            results: its address.
            remedy: for results that aren't complete; None: these do.

        Raises:
            DataError: when there are no results, those of several models, or they are unfinished.
        """
        folder, parts = results_at(storage.absolute(results))
        if remedy is not None:
            check_finished(folder, remedy)
        self._readings = {
            key_of(row): Reading(text=row["text"], confidence=row["confidence"])
            for address in parts
            for row in _read(read_part(address, _READ)).to_pylist()
        }

    def of(self, row: Mapping[str, Any]) -> Reading | None:
        """The other bundle's reading of the picture of ``row``."""
        return self._readings.get(key_of(row))

    def differing(self, table: pa.Table) -> Iterator[tuple[int, float, bytes]]:
        """Place, rank and key of each row that the two read differently.

        The rank is the smaller, the sooner a label is wanted: texts far apart (edits by the length
        of the longer one) that both bundles are sure of. What neither can read comes last.
        """
        places = np.flatnonzero(_has_text(table))
        there = [name for name in _READ if name in table.column_names]
        rows = table.select(there).take(places).to_pylist()
        for place, row in zip(places.tolist(), rows, strict=True):
            key = key_of(row)
            other = self._readings.get(key)
            if other is None:
                continue
            if normalise(row["text"]) != normalise(other.text):
                told = disagreement(row["text"], other.text, row["confidence"], other.confidence)
                yield place, -told, key


def disagreement(text: str, other: str, confidence: float, other_confidence: float) -> float:
    """How much two readings of a picture have to tell, 0 (the same text, or one that a bundle is
    not sure of at all) to 1: texts far apart (edits by the length of the longer one) that both
    bundles are sure of."""
    apart: float = Levenshtein.normalized_distance(normalise(text), normalise(other))
    return apart * math.sqrt(max(0.0, min(confidence, other_confidence)))


def _has_text(table: pa.Table) -> Any:
    given = pc.and_(pc.is_valid(table["text"]), pc.is_valid(table["confidence"]))
    return given.to_numpy()


def _read(table: pa.Table) -> pa.Table:
    return table.filter(pa.array(_has_text(table)))
