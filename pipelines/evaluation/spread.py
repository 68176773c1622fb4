"""Pieces over the processes of a cluster, by Ray Data: the row is a piece, never a picture.

Each process builds its reader, and with it the model, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import ray
from ray.data import ActorPoolStrategy, DataContext

from crnn.errors import CrnnError, PlacementError
from pipelines.evaluation.plan import Piece, cut
from pipelines.evaluation.reader import Outcome, PieceReader, ReaderConfig

PIECES_PER_CPU = 4

_process_reader: tuple[str, PieceReader] | None = None


def outcomes(config: ReaderConfig, pieces: list[Piece]) -> Iterator[Outcome]:
    """The outcomes of all pieces, in their order."""
    config_ref = ray.put(config)
    processes = _processes(use_gpu=config.use_gpu)
    job = _Job(config_ref=config_ref, pieces=cut(pieces, processes * PIECES_PER_CPU))
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    with DataContext.current(context):
        numbers = ray.data.range(len(job.pieces), override_num_blocks=len(job.pieces))
        tables = (
            numbers.map_batches(
                _Process,
                fn_constructor_args=(job,),
                compute=ActorPoolStrategy(size=min(processes, len(job.pieces))),
                batch_size=1,
                num_gpus=1,
            )
            if config.use_gpu
            else numbers.map_batches(
                _read_numbers,  # type: ignore[arg-type]  # its second argument is in fn_args
                fn_args=(job,),
                batch_size=None,
                num_cpus=1,
            )
        )
        for row in tables.iter_rows():
            outcome: Outcome | CrnnError = row["outcome"]
            if isinstance(outcome, CrnnError):
                raise outcome
            yield outcome


def _processes(*, use_gpu: bool) -> int:
    """How many pieces the cluster reads at a time."""
    resources = ray.cluster_resources()
    count = int(resources.get("GPU" if use_gpu else "CPU", 0))
    if use_gpu and not count:
        raise PlacementError("asked for GPUs, the cluster has none; leave use_gpu out or add some")
    return max(1, count)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What tasks are sent; the configuration with its model stays in the object store."""

    config_ref: ray.ObjectRef
    pieces: list[Piece]


def _read_numbers(batch: dict[str, np.ndarray], job: _Job) -> dict[str, np.ndarray]:
    """The outcomes (or the errors) of the pieces of these numbers, one row each."""
    rows = np.empty(len(batch["id"]), dtype=object)
    for row, number in enumerate(batch["id"]):
        rows[row] = _outcome(job, job.pieces[int(number)])
    return {"outcome": rows}


class _Process:
    """``_read_numbers`` in an actor, which keeps its GPU for as long as the job runs."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return _read_numbers(batch, self._job)


def _outcome(job: _Job, piece: Piece) -> Outcome | CrnnError:
    """An error is returned, so that it reaches the driver as it is; Ray would wrap it."""
    try:
        return _reader(job.config_ref)(piece)
    except CrnnError as error:
        return error


def _reader(config_ref: ray.ObjectRef) -> PieceReader:
    """This process's reader for an evaluation: built by its first piece, kept for the next."""
    global _process_reader
    key = config_ref.hex()
    if _process_reader is None or _process_reader[0] != key:
        _process_reader = key, PieceReader(ray.get(config_ref))
    return _process_reader[1]
