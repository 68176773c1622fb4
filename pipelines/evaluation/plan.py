"""What there is to read: each set's row groups, cut finer where there are too few for the CPUs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from pipelines.holdout import KEY_COLUMNS, held_out_rows
from pipelines.shards import Manifest, read_row_group

LEAST_ROWS = 256
"""Row groups aren't cut into pieces smaller than this: a batch has to fill."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A range of rows of one row group: what one task reads."""

    set: str
    """Name of the set."""
    uri: str
    """Folder of the set's shards."""
    shard: str
    index: int
    """Row group in the shard."""
    start: int
    stop: int
    """Rows ``start`` up to, not including, ``stop`` of the row group."""

    @property
    def rows(self) -> int:
        """Rows to look at; fewer are read when only held-out ones count."""
        return self.stop - self.start


def plan_set(
    name: str, uri: str, manifest: Manifest, *, held_out_share: float, limit: int
) -> list[Piece]:
    """The row groups of a set, or as many as hold ``limit`` samples (0: all).

    A limited evaluation takes whole row groups in a fixed random order, so that it doesn't
    see only the beginning of a sorted set.
    """
    pieces = [
        Piece(set=name, uri=uri, shard=entry.name, index=index, start=0, stop=rows)
        for entry in manifest.shards
        for index, rows in enumerate(entry.row_groups)
    ]
    if not limit:
        return pieces
    random.Random(0).shuffle(pieces)
    return list(_limited(pieces, held_out_share, limit))


def behind(pieces: list[Piece], rows: int) -> list[Piece]:
    """The pieces without their first ``rows`` rows."""
    left: list[Piece] = []
    for piece in pieces:
        skipped = min(rows, piece.rows)
        rows -= skipped
        if skipped < piece.rows:
            left.append(replace(piece, start=piece.start + skipped))
    return left


def cut(pieces: list[Piece], parallel: int) -> list[Piece]:
    """The same rows in at least ``parallel`` pieces, as far as ``LEAST_ROWS`` allows."""
    rows = sum(piece.rows for piece in pieces)
    size = max(LEAST_ROWS, -(-rows // max(1, parallel)))
    return [part for piece in pieces for part in _parts(piece, size)]


def _parts(piece: Piece, size: int) -> Iterator[Piece]:
    count = max(1, round(piece.rows / size))
    bounds = [piece.start + piece.rows * i // count for i in range(count + 1)]
    for start, stop in pairwise(bounds):
        yield replace(piece, start=start, stop=stop)


def _limited(pieces: list[Piece], share: float, limit: int) -> Iterator[Piece]:
    """Pieces up to the row where the last of ``limit`` samples stands."""
    left = limit
    for piece in pieces:
        if left <= 0:
            return
        places = _places(piece, share)
        if len(places) > left:
            yield replace(piece, stop=places[left])
            return
        left -= len(places)
        yield piece


def _places(piece: Piece, share: float) -> list[int]:
    """Rows of the piece that count."""
    if not share:
        return list(range(piece.start, piece.stop))
    table = read_row_group(piece.uri, piece.shard, piece.index, KEY_COLUMNS)
    return [row for row, is_out in enumerate(held_out_rows(table, share)) if is_out]
