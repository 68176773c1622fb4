"""The same pictures on both sides: what became another text, an error, or a reading."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.distance import Levenshtein

from crnn.text.charset import normalise
from pipelines.drift.buckets import KEY
from pipelines.recognition.inputs import REGION
from pipelines.review.beside import disagreement

EXAMPLES = 50
ANOTHER_TEXT, LOST, GAINED, ANOTHER_ERROR = "text", "lost", "gained", "error"
CHANGES = {
    ANOTHER_TEXT: "another text",
    LOST: "read before, an error now",
    GAINED: "an error before, read now",
    ANOTHER_ERROR: "another error",
}
"""The kinds of changed rows, and what they are called."""
CHANGED_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("page", pa.int32()),
        ("region", REGION),
        ("change", pa.string()),
        ("same_version", pa.bool_()),
        ("first_text", pa.string()),
        ("second_text", pa.string()),
        ("first_confidence", pa.float32()),
        ("second_confidence", pa.float32()),
        ("edits", pa.int32()),
        ("disagreement", pa.float32()),
        ("first_error", pa.string()),
        ("second_error", pa.string()),
        ("first_model", pa.string()),
        ("second_model", pa.string()),
    ]
)
"""A row for every picture whose reading changed. ``same_version``: whether the picture itself was
the same, by its etag; ``edits`` and ``disagreement`` are null where one side has no text."""


@dataclass(kw_only=True)
class Changes:
    """Counts over any number of buckets."""

    matched: int = 0
    """Pictures that both sides have."""
    only_first: int = 0
    only_second: int = 0
    repeated_first: int = 0
    """Rows of a picture of which a later row is there; that one counts."""
    repeated_second: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    """By kind, of ``CHANGES``."""
    other_version: int = 0
    """Matched pictures that were another version of the file, by their etags."""
    changed_of_other_version: int = 0
    edits: int = 0
    """In all texts that changed."""
    same_text: int = 0
    """Matched pictures that both sides read alike."""
    confidence_moved: float = 0.0
    """Sum over these of the second confidence minus the first."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """Rows of ``CHANGED_SCHEMA``: the texts that changed and have most to tell, most first."""

    def take_in(self, first: pa.Table, second: pa.Table) -> pa.Table:
        """Match the rows of a bucket; its changed ones, of ``CHANGED_SCHEMA``."""
        ours, theirs = _last_of_each(first), _last_of_each(second)
        both = [key for key in ours if key in theirs]
        self.matched += len(both)
        self.only_first += len(ours) - len(both)
        self.only_second += len(theirs) - len(both)
        self.repeated_first += len(first) - len(ours)
        self.repeated_second += len(second) - len(theirs)
        before = first.take(pa.array([ours[key] for key in both], pa.int64()))
        after = second.take(pa.array([theirs[key] for key in both], pa.int64()))
        return self._judged(before, after)

    def _judged(self, before: pa.Table, after: pa.Table) -> pa.Table:
        failed, failed_now = (_bools(pc.is_valid(t["error_code"])) for t in (before, after))
        same_text = _bools(pc.equal(_texts(before), _texts(after)))
        same_error = _bools(pc.equal(before["error_code"], after["error_code"]))
        same_version = _bools(pc.equal(_etags(before), _etags(after)))
        alike = ~failed & ~failed_now & same_text
        moved = _confidences(after)[alike] - _confidences(before)[alike]
        self.same_text += int(alike.sum())
        self.confidence_moved += float(np.nansum(moved))
        self.other_version += int((~same_version).sum())
        kinds = np.full(len(before), "", dtype="<U8")
        kinds[~failed & ~failed_now & ~same_text] = ANOTHER_TEXT
        kinds[~failed & failed_now] = LOST
        kinds[failed & ~failed_now] = GAINED
        kinds[failed & failed_now & ~same_error] = ANOTHER_ERROR
        places = np.flatnonzero(kinds != "")
        self.changed.update(kinds[places].tolist())
        self.changed_of_other_version += int((~same_version)[places].sum())
        table = _changed(
            before.take(places), after.take(places), kinds[places], same_version[places]
        )
        self._keep(table)
        return table

    def _keep(self, table: pa.Table) -> None:
        self.edits += pc.sum(table["edits"]).as_py() or 0
        worth = table["disagreement"].fill_null(-1.0).to_numpy()
        most = np.argsort(-worth, kind="stable")[:EXAMPLES]
        rows = table.take(most[worth[most] >= 0]).to_pylist()
        self.examples = heapq.nlargest(EXAMPLES, [*self.examples, *rows], key=_worth)


def _worth(example: dict[str, Any]) -> tuple[float, str]:
    place = (example["uri"], example["page"], example["region"])
    return example["disagreement"], repr(place)


def _changed(before: pa.Table, after: pa.Table, kinds: Any, same_version: Any) -> pa.Table:
    edits, apart = _apart(before, after, kinds)
    columns = {
        "uri": after["uri"],
        "page": after["page"],
        "region": after["region"],
        "change": pa.array(kinds.tolist(), pa.string()),
        "same_version": pa.array(same_version),
        "edits": pa.array(edits, pa.int32()),
        "disagreement": pa.array(apart, pa.float32()),
    }
    for side, table in (("first", before), ("second", after)):
        columns |= {
            f"{side}_text": table["text"],
            f"{side}_confidence": table["confidence"],
            f"{side}_error": table["error_code"],
            f"{side}_model": table["model"],
        }
    return pa.table(columns, schema=CHANGED_SCHEMA)


def _apart(
    before: pa.Table, after: pa.Table, kinds: Any
) -> tuple[list[int | None], list[float | None]]:
    """Edits and disagreement of rows with two texts."""
    edits: list[int | None] = [None] * len(before)
    apart: list[float | None] = [None] * len(before)
    places = np.flatnonzero(kinds == ANOTHER_TEXT)
    pairs = zip(_texts(before).take(places).to_pylist(), _texts(after).take(places).to_pylist(),
                _confidences(before)[places], _confidences(after)[places],
                strict=True)  # fmt: skip
    for place, (text, other, sure, sure_then) in zip(places.tolist(), pairs, strict=True):
        edits[place] = Levenshtein.distance(normalise(text), normalise(other))
        apart[place] = disagreement(text, other, float(sure), float(sure_then))
    return edits, apart


def _last_of_each(table: pa.Table) -> dict[bytes, int]:
    """Place of the last row of each picture."""
    return {key: place for place, key in enumerate(table[KEY.name].to_pylist())}


def _texts(table: pa.Table) -> pa.ChunkedArray:
    return table["text"].fill_null("")


def _etags(table: pa.Table) -> pa.ChunkedArray:
    return table["etag"].fill_null("")


def _confidences(table: pa.Table) -> Any:
    """A reading without a confidence, of a page without text, counts as 0."""
    return table["confidence"].cast(pa.float64()).fill_null(0.0).to_numpy()


def _bools(column: pa.ChunkedArray) -> Any:
    return column.fill_null(False).to_numpy()
