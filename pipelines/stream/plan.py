"""Which row groups are read when: a pure function of sources, seed and epoch.

Without weights an epoch reads every row group of every source once. With weights it has the
same number of rows, shared out by weight; each source then walks through its own endless
sequence of reshuffled passes, so that nothing in it comes twice before all of it came once. So does
a source that gives a number of rows of its own to each epoch, beside what the others give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CHUNK_ROWS = 4096
READY_BATCH_PIXELS = 32 * 32 * 128
"""Padded pixels in a ready batch."""
_PLAN_SALT = 0x5EED


@dataclass(frozen=True, kw_only=True)
class StreamSource:
    """A prepared set and its share of the mix."""

    uri: str
    groups: tuple[tuple[str, int, int], ...]
    """(shard name, row group index, rows) of every row group, in manifest order."""
    weight: float | None = None
    """Share of an epoch's rows relative to the other weights; None: by size."""
    rows_an_epoch: int | None = None
    """Rows that it adds to each epoch, regardless of the others; None: all, or by weight."""

    @property
    def rows(self) -> int:
        """Samples in the set."""
        return sum(rows for _, _, rows in self.groups)


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """One row group of one source."""

    source: int
    shard: str
    row_group: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Row groups that one task turns into ready batches."""

    epoch: int
    index: int
    pieces: tuple[RowGroup, ...]


def epoch_rows(sources: Sequence[StreamSource]) -> int:
    """Samples in an epoch, weights or none."""
    return sum(s.rows if s.rows_an_epoch is None else s.rows_an_epoch for s in sources)


@lru_cache(maxsize=4)
def epoch_chunks(
    sources: tuple[StreamSource, ...], *, seed: int | None, epoch: int, chunk_rows: int = CHUNK_ROWS
) -> tuple[Chunk, ...]:
    """The chunks of one epoch in reading order; ``seed=None`` keeps the manifest's order.

    Raises:
        ValueError: when only some of the sources have a weight.
    """
    pieces = _interleave([_drawn(sources, i, seed, epoch) for i in range(len(sources))])
    chunks: list[Chunk] = []
    pending: list[RowGroup] = []
    for piece in pieces:
        pending.append(piece)
        if sum(p.rows for p in pending) >= chunk_rows:
            chunks.append(Chunk(epoch=epoch, index=len(chunks), pieces=tuple(pending)))
            pending = []
    if pending:
        chunks.append(Chunk(epoch=epoch, index=len(chunks), pieces=tuple(pending)))
    return tuple(chunks)


def _drawn(
    sources: Sequence[StreamSource], which: int, seed: int | None, epoch: int
) -> list[RowGroup]:
    """The pieces that one source gives to an epoch."""
    own = sources[which].rows_an_epoch
    if own is not None:
        return list(_window(sources[which], which, seed, epoch * own, (epoch + 1) * own))
    mixed = [source for source in sources if source.rows_an_epoch is None]
    weights = [source.weight for source in mixed]
    if all(weight is None for weight in weights):
        return _pass(sources[which], which, seed, epoch)
    if any(weight is None for weight in weights):
        raise ValueError("some sources have a weight and some have none; give all or none")
    total = sum(weight for weight in weights if weight is not None)
    quota = (sources[which].weight or 0.0) / total * epoch_rows(mixed)
    return list(_window(sources[which], which, seed, epoch * quota, (epoch + 1) * quota))


def _window(
    source: StreamSource, which: int, seed: int | None, first_row: float, end_row: float
) -> Iterator[RowGroup]:
    """Pieces of the endless sequence whose first row lies in ``[first_row, end_row)``."""
    if source.rows == 0 or end_row <= first_row:
        return
    number = int(first_row // source.rows)
    row = number * source.rows
    while row < end_row:
        for piece in _pass(source, which, seed, number):
            if first_row <= row < end_row:
                yield piece
            row += piece.rows
        number += 1


def _pass(source: StreamSource, which: int, seed: int | None, number: int) -> list[RowGroup]:
    """Every row group of a source once, in the order of its pass ``number``."""
    order = np.arange(len(source.groups))
    if seed is not None:
        order = np.random.default_rng([_PLAN_SALT, seed, which, number]).permutation(order)
    return [
        RowGroup(source=which, shard=shard, row_group=group, rows=rows)
        for shard, group, rows in (source.groups[i] for i in order)
    ]


def _interleave(drawn: Sequence[Sequence[RowGroup]]) -> list[RowGroup]:
    """Sources merged evenly: each piece at its relative place in its own sequence."""
    placed = [
        ((position + 0.5) / len(pieces), which, piece)
        for which, pieces in enumerate(drawn)
        for position, piece in enumerate(pieces)
    ]
    return [piece for _, _, piece in sorted(placed, key=lambda entry: entry[:2])]
