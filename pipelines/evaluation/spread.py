"""The pieces of an evaluation over the processes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ray

from crnn.engines import OF_TORCH, engine_for
from pipelines.evaluation.plan import Piece, cut
from pipelines.evaluation.reader import PieceOutcome, PieceReader, ReaderConfig
from pipelines.spread import Processes, spread

PIECES_PER_CPU = 4


def outcomes(config: ReaderConfig, pieces: list[Piece]) -> Iterator[PieceOutcome]:
    """The outcomes of all pieces, in their order; without pieces, none."""
    if not pieces:
        return iter(())
    engine = engine_for(config.engine, config.bundle, "cuda" if config.use_gpu else "cpu")
    processes = Processes(use_gpu=config.use_gpu, keep_heap=engine in OF_TORCH)
    parts = cut(pieces, processes.count() * PIECES_PER_CPU)
    return spread(_reader, ray.put(config), parts, processes, ordered=True)


def _reader(config: ReaderConfig) -> Callable[[Piece], Iterator[PieceOutcome]]:
    read = PieceReader(config)
    return lambda piece: iter([read(piece)])
