"""The stream on Ray Data: chunks in order → ready batches → one iterator a rank.

One execution covers many epochs, so that nothing stands still between two of them. Order is
kept from chunk to rank: a batch of the next epoch never overtakes one of this.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import pyarrow as pa
import ray
from ray.data import DataContext, ExecutionResources

from pipelines.shards import Manifest, load_manifest
from pipelines.stream.assemble import StreamConfig, assemble_chunk
from pipelines.stream.cursor import Cursor
from pipelines.stream.plan import Chunk, StreamSource, epoch_chunks
from pipelines.stream.rows import Delivery, deliveries, to_row

if TYPE_CHECKING:
    from ray.data import DataIterator, Dataset

MAX_CHUNKS = 256
AHEAD_BYTES = 128 * 1024 * 1024
# Together these keep a trainer of 300 pictures/s fed beside the scheduling loop on two cores: with
# 2, 2 and 0.02 s that loop took more than twice the CPU, with 2, 2 and 0.2 s the trainer waited.
BLOCK_BATCHES = 4
PREFETCHED_BLOCKS = 8
STEP_PAUSE_S = 0.05


class Calm:
    """A pause in each step of Ray Data's scheduling loop, which otherwise spins on a whole core
    whenever every task that runs is held back because enough has been made ahead (Ray 2.60).

    It has the hooks of what ``DataContext.custom_execution_callback_classes`` takes.
    """

    def before_execution_starts(self, executor: object) -> None:
        """Nothing to do."""

    def on_execution_step(self, executor: object) -> None:
        """Sleeps."""
        time.sleep(STEP_PAUSE_S)

    def after_execution_succeeds(self, executor: object) -> None:
        """Nothing to do."""

    def after_execution_fails(self, executor: object, error: Exception) -> None:
        """Nothing to do."""


def load_source(uri: str, weight: float | None = None) -> tuple[StreamSource, Manifest]:
    """A prepared set as a source of the stream.

    Raises:
        DataError: when it is missing, empty or unfinished.
    """
    manifest = load_manifest(uri)
    groups = tuple(
        (entry.name, index, rows)
        for entry in manifest.shards
        for index, rows in enumerate(entry.row_groups)
    )
    return StreamSource(uri=uri, groups=groups, weight=weight), manifest


def work_left(config: StreamConfig, cursor: Cursor, epochs: int) -> list[tuple[Chunk, int]]:
    """The next (chunk, batches of it already done), at most ``MAX_CHUNKS``: an execution takes
    milliseconds a chunk to start."""
    left: list[tuple[Chunk, int]] = []
    for epoch in range(cursor.epoch, epochs):
        chunks = epoch_chunks(config.sources, seed=config.seed, epoch=epoch)
        at = cursor if epoch == cursor.epoch else Cursor(epoch=epoch)
        left += [(c, at.done.get(c.index, 0)) for c in chunks if not at.finished(c.index)]
        if len(left) >= MAX_CHUNKS:
            break
    return left[:MAX_CHUNKS]


def epoch_done(config: StreamConfig, cursor: Cursor) -> bool:
    """Whether every ready batch of the cursor's epoch was trained on."""
    chunks = epoch_chunks(config.sources, seed=config.seed, epoch=cursor.epoch)
    return all(cursor.finished(chunk.index) for chunk in chunks)


def ready_batches(
    config: StreamConfig,
    work: list[tuple[Chunk, int]],
    *,
    num_cpus: float = 1.0,
    reserved: ExecutionResources | None = None,
    ahead_bytes: int = AHEAD_BYTES,
) -> Dataset:
    """A dataset of ready batches, one task a chunk; ``reserved`` is what trainers hold."""
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    calm: Any = Calm
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, calm]
    context.target_max_block_size = BLOCK_BATCHES * config.batch_pixels * config.picture.channels
    context.execution_options.preserve_order = True
    context.execution_options.resource_limits = ExecutionResources.for_limits(
        object_store_memory=ahead_bytes
    )
    if reserved is not None:
        context.execution_options.exclude_resources = reserved
    config_ref = ray.put(config)

    def assemble(batch: dict[str, Any]) -> Iterator[pa.Table]:
        cv2.setNumThreads(1)
        settings = ray.get(config_ref)
        for index in batch["id"]:
            chunk, done = work[int(index)]
            for assembled in assemble_chunk(settings, chunk, done):
                yield to_row(assembled)

    with DataContext.current(context):
        numbers = ray.data.range(len(work), override_num_blocks=len(work))
        return numbers.map_batches(
            assemble, batch_size=None, batch_format="numpy", num_cpus=num_cpus
        )


def split(dataset: Dataset, ranks: int) -> list[DataIterator]:
    """One iterator a rank; ready batches go to the rank that has had the fewest.

    Not Ray's equal split, which drops the last few: ranks end an epoch when all have run out.
    """
    return dataset.streaming_split(ranks, equal=False)


def read(iterator: DataIterator) -> Iterator[Delivery]:
    """A rank's deliveries."""
    whole: Any = None  # the batch size that Ray's hint leaves out
    for table in iterator.iter_batches(
        batch_size=whole, batch_format="pyarrow", prefetch_batches=PREFETCHED_BLOCKS
    ):
        yield from deliveries(table)


def validation_blocks(config: StreamConfig, **options: Any) -> list[ray.ObjectRef]:
    """All ready batches of one unshuffled pass, decoded once and kept in the object store."""
    still = replace(config, seed=None, augment=None)
    chunks = epoch_chunks(still.sources, seed=None, epoch=0)
    work = [(chunk, 0) for chunk in chunks]
    return ready_batches(still, work, **options).materialize().to_arrow_refs()
