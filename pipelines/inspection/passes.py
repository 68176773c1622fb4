"""One pass over the samples of several sets, on Ray: in which pieces, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from pipelines.inspection.again import Wanted
from pipelines.inspection.inputs import DataSet, Piece, pieces
from pipelines.spread import Processes, spread

WINDOW_ITEMS = 1 << 16
WINDOW_PIECES = 1024
"""In one execution on Ray: pieces, and lines of lists that travel with them."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is."""

    stage: str
    """What is done: looking, comparing, reading, showing or measuring."""
    done: int
    total: int
    """Samples of this stage that are known so far."""
    final: bool
    """Whether ``total`` will not grow."""


Report = Callable[[Progress], None]


class Listed:
    """All pieces of all sets, and how many samples there are as far as is known."""

    def __init__(self, sets: Sequence[DataSet], limit: int) -> None:
        """``limit``: maximum number of samples of each set, 0 for all."""
        self._sets, self._limit = sets, limit
        known = [data.samples for data in sets]
        self.total = sum(min(n, limit or n) for n in known if n is not None)
        self.is_final = None not in known

    def __iter__(self) -> Iterator[Piece]:
        for number, data in enumerate(self._sets):
            for piece in pieces(data, number, limit=self._limit):
                if data.samples is None:
                    self.total += piece.rows
                yield piece
        self.is_final = True


def over(
    build: Callable[[Any], Callable[[Any], Iterable[Any]]],
    config_ref: ray.ObjectRef,
    items: Iterable[Piece | Wanted],
) -> Iterator[Any]:
    """Outcomes over as many executions as it takes to keep few items in memory.

    Args:
        build: as for ``pipelines.spread.spread``, and so is ``config_ref``.
    """
    for window in _windows(items):
        yield from spread(build, config_ref, window, Processes())


def _windows(items: Iterable[Piece | Wanted]) -> Iterator[list[Piece | Wanted]]:
    window: list[Piece | Wanted] = []
    lines = 0
    for item in items:
        window.append(item)
        lines += len(item.piece.items if isinstance(item, Wanted) else item.items)
        if len(window) >= WINDOW_PIECES or lines >= WINDOW_ITEMS:
            yield window
            window, lines = [], 0
    if window:
        yield window
