"""Work over the processes of a cluster, by Ray Data: the row is an item's number, never a picture.

Each process builds its worker, and with it the model, once. Errors of ours come back as they
are; Ray would wrap them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import ray
from ray import cloudpickle
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

from crnn.errors import CrnnError, PlacementError
from crnn.heap import collect_seldom, kept_heap
from pipelines.ray_part import ray_part

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Worker = Callable[[Item], Iterable[Outcome]]

TELL_EVERY_S = 5.0
"""A process reports its outcomes after this long, or when an item is done: a block each time."""
_KEPT_HEAP_BYTES = 256 << 20
_TRY_NUMBER = "ray._private.worker:global_worker.core_worker.get_current_task_attempt_number"
"""The public runtime context doesn't tell which try a task is (Ray 2.60)."""
_process_worker: tuple[str, Worker[Any, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Where the work is done."""

    use_gpu: bool = False
    """One process for each GPU, in place of one for each CPU."""
    most: int = 0
    """Maximum number at a time; 0: as many as the cluster has room for."""
    keep_heap: bool = False
    """Let them keep freed memory: this makes PyTorch faster on a CPU, but needs new processes,
    which start later than those that Ray keeps waiting."""

    def count(self) -> int:
        """How many work at a time on the cluster as it is.

        Raises:
            PlacementError: when GPUs are asked for and there are none.
        """
        there = int(ray.cluster_resources().get("GPU" if self.use_gpu else "CPU", 0))
        if self.use_gpu and not there:
            raise PlacementError(
                "asked for GPUs, but the cluster has none; leave use_gpu out, or add nodes with "
                "GPUs"
            )
        return max(1, min(there, self.most or there))


def spread(
    build: Callable[[Any], Worker[Item, Outcome]],
    config_ref: ray.ObjectRef,
    items: Sequence[Item],
    processes: Processes,
    *,
    ordered: bool = False,
) -> Generator[Outcome, None, None]:
    """What workers make of all items, each item in whichever process is free.

    Args:
        build: makes a process's worker from the configuration; a worker gives an item's outcomes.
        config_ref: the configuration, put into Ray's object store once for all calls.
        items: what can be pickled; a task unpickles its own ones alone.
        processes: how many, and on what.
        ordered: outcomes come in the items' order, which keeps those in memory that are early.

    Raises:
        CrnnError: the first that a worker raised.
        PlacementError: when GPUs are asked for and there are none.
    """
    job = _Job(build=build, config_ref=config_ref, items_ref=ray.put(_Packed.of(items)))
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # a row goes to the driver as soon as it is there
    context.execution_options.preserve_order = ordered
    environment = {"env_vars": kept_heap(_KEPT_HEAP_BYTES)} if processes.keep_heap else None
    with DataContext.current(context):
        numbers = ray.data.range(len(items), override_num_blocks=len(items))
        if processes.use_gpu:
            tables = numbers.map_batches(
                _Process,
                fn_constructor_args=(job,),
                compute=ActorPoolStrategy(size=min(processes.count(), len(items))),
                batch_size=1,
                num_gpus=1,
                runtime_env=environment,
            )
        else:
            tables = numbers.map_batches(
                _work,  # type: ignore[arg-type]  # its second argument is in fn_args
                fn_args=(job,),
                compute=TaskPoolStrategy(size=processes.most or None),
                batch_size=None,
                num_cpus=1,
                runtime_env=environment,
            )
        for row in tables.iter_rows():
            for outcome in row["outcomes"]:
                if isinstance(outcome, CrnnError):
                    raise outcome
                yield outcome


def is_second_try() -> bool:
    """Whether the process that worked on this item before has ended; False outside of Ray."""
    if not ray.is_initialized():
        return False
    return bool(ray_part(_TRY_NUMBER)())


@dataclass(frozen=True)
class _Packed:
    """Items pickled one by one into one array, which processes of a node share without a copy."""

    data: np.ndarray
    """All pickles in a row, uint8."""
    ends: np.ndarray
    """Where each of them ends in ``data``, int64, after a first 0."""

    @classmethod
    def of(cls, items: Iterable[object]) -> _Packed:
        pickles = [cloudpickle.dumps(item) for item in items]
        return cls(
            np.frombuffer(b"".join(pickles), dtype=np.uint8),
            np.cumsum([0, *map(len, pickles)], dtype=np.int64),
        )

    def __getitem__(self, number: int) -> Any:
        return cloudpickle.loads(self.data[self.ends[number] : self.ends[number + 1]].data)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What tasks are sent; configuration and items stay in the object store."""

    build: Callable[[Any], Worker[Any, Any]]
    config_ref: ray.ObjectRef
    items_ref: ray.ObjectRef


def _work(batch: dict[str, np.ndarray], job: _Job) -> Iterator[dict[str, np.ndarray]]:
    """The outcomes of the items of these numbers, some in a row; after an error, no more."""
    items: _Packed = ray.get(job.items_ref)
    worker = _worker(job)
    outcomes: list[Any] = []
    told_s = time.monotonic()
    try:
        for number in batch["id"]:
            for outcome in worker(items[int(number)]):
                outcomes.append(outcome)
                if time.monotonic() - told_s > TELL_EVERY_S:
                    yield _row(outcomes)
                    outcomes, told_s = [], time.monotonic()
    except CrnnError as error:
        outcomes.append(error)
    yield _row(outcomes)


def _row(outcomes: list[Any]) -> dict[str, np.ndarray]:
    rows = np.empty(1, dtype=object)
    rows[0] = outcomes
    return {"outcomes": rows}


class _Process:
    """``_work`` in an actor, which keeps its GPU for as long as the job runs."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        return _work(batch, self._job)


def _worker(job: _Job) -> Worker[Any, Any]:
    """This process's worker for a job: built by its first item, kept for the next."""
    global _process_worker
    key = job.config_ref.hex()
    if _process_worker is None or _process_worker[0] != key:
        _process_worker = key, job.build(ray.get(job.config_ref))
        collect_seldom()
    return _process_worker[1]
