"""Every finding of an inspection as rows of ``findings.parquet``, in bounded memory.

A row is one sample with one kind of finding; ``with`` names the other sample where there is one.
What single samples showed comes from ``notes``, copies and leaks from ``copies.Links``, and ids
and labels are read again, piece by piece. Only the ids that are named as others are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from crnn.text.charset import normalise
from pipelines.inspection.contradicted import CONTRADICTED, Contradicted, message
from pipelines.inspection.copies import MEASURING, NO_SIDE, TRAINING, Links, Numbers
from pipelines.inspection.findings_file import FINDINGS_SCHEMA
from pipelines.inspection.inputs import DataSet, Piece, pieces
from pipelines.inspection.kinds import KINDS
from pipelines.inspection.notes import Notes
from pipelines.inspection.outliers import Outliers
from pipelines.inspection.tally import LABELLED, Features
from pipelines.shards import read_row_group

SIDES = {NO_SIDE: None, TRAINING: "training", MEASURING: "measuring"}
_BATCH_ROWS = 4096
_MESSAGES = {
    "copy": "equal to {other}, which stays",
    "near_copy": "nearly equal to {other}, which stays",
    "leak": "equal to {other}",
    "near_leak": "nearly equal to {other}",
    "same_picture_other_text": "equal to {other}, which has another label",
    "near_picture_other_text": "nearly equal to {other}, which has another label",
}


class _Row(NamedTuple):
    """A finding, its samples by number."""

    row: int
    kind: str
    message: str
    other: int = -1
    """Index over all sets."""
    side: int = NO_SIDE


@dataclass(frozen=True, kw_only=True)
class EveryFinding:
    """All that it takes to list them; ``tables`` does."""

    sets: Sequence[DataSet]
    limit: int
    features: Sequence[Features]
    notes: Notes
    links: Mapping[str, Links]
    """By kind, samples ascending."""
    outliers: Mapping[str, Outliers]
    """By kind, in order of sets and rows."""
    characters: Mapping[str, Mapping[str, str]]
    """By kind, what is said of each character: every label that has it is found."""
    contradicted: Contradicted
    starts: Numbers = field(init=False)
    """Index of each set's first sample."""

    def __post_init__(self) -> None:
        starts = np.cumsum([0, *map(len, self.features)])
        object.__setattr__(self, "starts", starts)

    def tables(self) -> Iterator[pa.Table]:
        """Tables of ``FINDINGS_SCHEMA``, in order of sets and samples; last what a bundle
        contradicts, the most confident first.

        Raises:
            DataError: for a damaged shard, or a store that fails for good.
        """
        names = _Names(self)
        wanted = frozenset().union(*self.characters.values())
        for number, piece in self._pieces():
            found = self._found(number, piece)
            if found or wanted:
                ids, texts = ids_and_texts(self.sets[number], piece)
                found += self._with_characters(number, piece, texts, wanted)
            if found:
                found.sort(key=lambda row: row.row)  # stable: by kind as they were found
                yield self._table(
                    number, [ids[row.row - piece.start] for row in found], found, names
                )
        for batch in self.contradicted.found.to_batches(max_chunksize=_BATCH_ROWS):
            yield self._contradicted(batch.to_pylist(), names)

    def contradicted_index(self) -> Numbers:
        """Index over all sets of each contradicted sample, as they are sorted."""
        found = self.contradicted.found
        index: Numbers = self.starts[found["set"].to_numpy()] + found["row"].to_numpy()
        return index

    def _contradicted(self, found: Sequence[Mapping[str, Any]], names: _Names) -> pa.Table:
        severity = KINDS[CONTRADICTED].severity
        rows = []
        for r in found:
            name, id = names.of(int(self.starts[r["set"]]) + r["row"])
            rows.append(
                {"set": name, "id": id, "kind": CONTRADICTED, "severity": severity,
                 "confidence": r["confidence"],
                 "message": message(r["text"], r["confidence"])}
            )  # fmt: skip
        return pa.Table.from_pylist(rows, schema=FINDINGS_SCHEMA)

    def _pieces(self) -> Iterator[tuple[int, Piece]]:
        for number, data in enumerate(self.sets):
            for piece in pieces(data, number, limit=self.limit):
                yield number, piece

    def _found(self, number: int, piece: Piece) -> list[_Row]:
        start, end = piece.start, piece.start + piece.rows
        found = [_Row(*note) for note in self.notes.of(number, start)]
        base = int(self.starts[number])
        for kind, some in self.outliers.items():
            for place in _between(self.starts[some.sets] + some.rows, base + start, base + end):
                found.append(_Row(int(some.rows[place]), kind, some.message(place)))
        for kind, links in self.links.items():
            for place in _between(links.samples, base + start, base + end):
                row, other = int(links.samples[place]) - base, int(links.others[place])
                found.append(_Row(row, kind, "", other, int(links.sides[place])))
        return found

    def _with_characters(
        self, number: int, piece: Piece, texts: Sequence[str], wanted: frozenset[str]
    ) -> Iterator[_Row]:
        """Labels with a character that is found."""
        for row, text in enumerate(texts if wanted else (), piece.start):
            has = wanted.intersection(normalise(text))
            if not has or not self.features[number][row]["flags"] & LABELLED:
                continue
            for kind, messages in self.characters.items():
                told = [f"{c!r} {messages[c]}" for c in sorted(has) if c in messages]
                if told:
                    yield _Row(row, kind, "; ".join(told))

    def _table(
        self, number: int, ids: Sequence[str], rows: Sequence[_Row], names: _Names
    ) -> pa.Table:
        columns: dict[str, list[Any]] = {name: [] for name in FINDINGS_SCHEMA.names}
        for id, row in zip(ids, rows, strict=True):
            other_set, other = names.of(row.other)
            told = row.message
            if other is not None:
                told = _MESSAGES[row.kind].format(other=f"{other} of {other_set}")
            values = (
                self.sets[number].name, id, row.kind, KINDS[row.kind].severity,
                other_set, other, SIDES[row.side], None, told,
            )  # fmt: skip
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        return pa.table(columns, schema=FINDINGS_SCHEMA)


def _between(ascending: Numbers, low: int, high: int) -> range:
    """Places of the values from ``low`` to below ``high``."""
    first, last = np.searchsorted(ascending, (low, high)).tolist()
    return range(first, last)


class _Names:
    """Sets and ids of the samples that others are found with, and of those contradicted."""

    def __init__(self, every: EveryFinding) -> None:
        self._sets, self._starts = every.sets, every.starts
        others = [np.empty(0, np.int64), *(links.others for links in every.links.values())]
        self._wanted: Numbers = np.unique(np.concatenate([*others, every.contradicted_index()]))
        found = [pa.array([], pa.large_string())]
        for number, piece in every._pieces() if len(self._wanted) else ():
            begin = int(every.starts[number]) + piece.start
            first, last = np.searchsorted(self._wanted, (begin, begin + piece.rows))
            if first < last:
                ids, _ = ids_and_texts(every.sets[number], piece)
                places = self._wanted[first:last] - begin
                found.append(pa.array([ids[place] for place in places], pa.large_string()))
        self._ids = pa.concat_arrays(found)

    def of(self, index: int) -> tuple[str | None, str | None]:
        """Name of the set, and id; nothing for -1."""
        if index < 0:
            return None, None
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        place = int(np.searchsorted(self._wanted, index))
        return self._sets[number].name, self._ids[place].as_py()


def ids_and_texts(data: DataSet, piece: Piece) -> tuple[list[str], list[str]]:
    """Ids and texts of a piece, without its pictures; DataError as ``PieceReader.rows``."""
    if data.source:
        return [item.id for item in piece.items], [item.text for item in piece.items]
    table = read_row_group(data.uri, piece.shard, piece.group, columns=["id", "text"])
    table = table.slice(0, piece.rows)
    return table["id"].to_pylist(), table["text"].to_pylist()
