"""A look at every label before training: what is unfit is known, and counted, beforehand.

Reads no pictures, only the columns that decide (id, text, width, height), in Ray tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import ray

from crnn.text.order import backwards
from pipelines.holdout import split_keys
from pipelines.shards import read_row_group
from pipelines.stream.assemble import Label, Refusal, StreamConfig, inspect_label
from pipelines.stream.plan import RowGroup
from pipelines.trainable import UNKNOWN

_COLUMNS = ("id", "text", "width", "height")
_TASK_ROWS = 50_000
_SHOWN = 10


@dataclass
class Scan:
    """Sums over all labels of a stream; scans add up with ``+``."""

    usable: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """By reason."""
    unknown_characters: dict[str, int] = field(default_factory=dict)
    """Labels in which a character outside the charset occurs."""
    examples: list[Refusal] = field(default_factory=list)
    """The first few refusals."""
    backwards: int = 0
    """Usable labels with a word of ``crnn.text.order.backwards``."""
    backwards_example: str = ""
    """The first such label."""

    @property
    def total(self) -> int:
        """Labels seen."""
        return self.usable + sum(self.refused.values())

    def __add__(self, other: Scan) -> Scan:
        return Scan(
            usable=self.usable + other.usable,
            refused=dict(Counter(self.refused) + Counter(other.refused)),
            unknown_characters=dict(
                Counter(self.unknown_characters) + Counter(other.unknown_characters)
            ),
            examples=(self.examples + other.examples)[:_SHOWN],
            backwards=self.backwards + other.backwards,
            backwards_example=self.backwards_example or other.backwards_example,
        )


def scan_labels(config: StreamConfig, *, num_cpus: float = 1.0) -> Scan:
    """Every label of every source, once."""
    pieces = [
        RowGroup(source=which, shard=shard, row_group=group, rows=rows)
        for which, source in enumerate(config.sources)
        for shard, group, rows in source.groups
    ]
    config_ref = ray.put(config)
    task = ray.remote(num_cpus=num_cpus)(_scan_pieces)
    pending = [task.remote(config_ref, part) for part in _parts(pieces)]
    total = Scan()
    while pending:
        ready, pending = ray.wait(pending)
        total += ray.get(ready[0])
    return total


def _parts(pieces: Sequence[RowGroup]) -> Iterator[list[RowGroup]]:
    part: list[RowGroup] = []
    for piece in pieces:
        part.append(piece)
        if sum(p.rows for p in part) >= _TASK_ROWS:
            yield part
            part = []
    if part:
        yield part


def _scan_pieces(config: StreamConfig, pieces: Sequence[RowGroup]) -> Scan:
    total = Scan()
    for piece in pieces:
        uri = config.sources[piece.source].uri
        table = read_row_group(uri, piece.shard, piece.row_group, columns=[*_COLUMNS, "group"])
        columns = [table.column(name).to_pylist() for name in _COLUMNS]
        for row, (key, *values) in enumerate(zip(split_keys(table), *columns, strict=True)):
            if config.takes(key):
                _count(total, config, values[1], inspect_label(config, row, *values))
    return total


def _count(total: Scan, config: StreamConfig, text: str, found: Label | Refusal) -> None:
    if isinstance(found, Label):
        total.usable += 1
        if backwards(text):
            total.backwards += 1
            total.backwards_example = total.backwards_example or text
        return
    total.refused[found.reason] = total.refused.get(found.reason, 0) + 1
    if len(total.examples) < _SHOWN:
        total.examples.append(found)
    if found.reason == UNKNOWN:
        for character in config.charset.unknown(text):
            seen = total.unknown_characters.get(character, 0)
            total.unknown_characters[character] = seen + 1
