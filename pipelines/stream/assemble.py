"""One chunk → ready batches: the work of one Ray task, and of nobody else.

Reads the chunk's row groups, sets aside what can't be trained on, shuffles, fills one bucket
after another, and decodes and augments each batch just before it leaves. The same chunk
always gives the same batches, so a batch's number names its samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from crnn.brief import brief
from crnn.errors import PictureError
from crnn.images.contract import PictureContract, Pixels
from crnn.text.charset import Charset
from pipelines.augment import AugmentConfig, augment_batch
from pipelines.holdout import is_held_out, split_keys
from pipelines.shards import read_row_group
from pipelines.stream.plan import READY_BATCH_PIXELS, Chunk, StreamSource
from pipelines.trainable import Room, judged

_ORDER_SALT = 0x0DE5
_SAMPLE_SALT = 0xA06


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """What turns a chunk into ready batches; the same config, the same batches."""

    sources: tuple[StreamSource, ...]
    charset: Charset
    picture: PictureContract
    time_steps: tuple[tuple[int, int], ...]
    """(bucket width, T of the model) for every bucket."""
    batch_pixels: int = READY_BATCH_PIXELS
    """Padded pixels (height times width times samples) in a full ready batch."""
    seed: int | None = 0
    """Orders everything; None keeps the order of the shards."""
    augment: AugmentConfig | None = None
    """None for validation."""
    held_out_share: float = 0.0
    """Share of the samples, by a hash of the group or id, that belong to validation."""
    held_out: bool = False
    """Take that share instead of the rest."""

    @cached_property
    def steps_by_bucket(self) -> dict[int, int]:
        """T of the model for each bucket width."""
        return dict(self.time_steps)

    def takes(self, key: str) -> bool:
        """Whether a sample of this ``split_keys`` is on this stream's side of the hold-out."""
        return is_held_out(key, self.held_out_share) == self.held_out

    def batch_size(self, width_px: int) -> int:
        """Samples in a full batch of this bucket."""
        return max(1, self.batch_pixels // (self.picture.height * width_px))


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A sample set aside on the way to the model."""

    id: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """What is known of a sample before its picture is decoded."""

    row: int
    id: str
    target: tuple[int, ...]
    bucket_px: int


@dataclass(kw_only=True)
class AssembledBatch:
    """A ready batch in NumPy, with its place in the epoch."""

    epoch: int
    chunk: int
    batch: int
    batches: int
    """Ready batches in the chunk."""
    pixels_NHWC: Pixels
    labels: list[Label] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def inspect_label(
    config: StreamConfig, row: int, sample_id: str, text: str, width_px: int, height_px: int
) -> Label | Refusal:
    """A label fit to train on, or the reason why it isn't: before training, not within the loss."""
    bucket_px = config.picture.bucket_width(width_px, height_px)
    found = judged(
        config.charset, text, Room(config.steps_by_bucket[bucket_px], width_px, height_px)
    )
    if found.obstacles:
        reason, message = found.obstacles[0]
        return Refusal(id=sample_id, reason=reason, message=f"{brief(text)} {message}")
    return Label(row=row, id=sample_id, target=found.target, bucket_px=bucket_px)


def assemble_chunk(config: StreamConfig, chunk: Chunk, done: int = 0) -> Iterator[AssembledBatch]:
    """The chunk's ready batches, without those whose bit is set in ``done``.

    A chunk without a single usable sample still gives one (empty) batch, which carries its
    refusals. Refusals of labels come with the first batch, of pictures with their own.
    """
    table = pa.concat_tables(
        (read_row_group(config.sources[p.source].uri, p.shard, p.row_group) for p in chunk.pieces),
        promote_options="default",  # old sets have no groups
    )
    labels, refusals = _inspect(config, table)
    planned = _fill_buckets(config, chunk, labels) or [[]]
    images = table.column("image")
    for number, batch in enumerate(planned):
        if done >> number & 1:
            continue
        assembled = _decode_batch(config, chunk.epoch, batch, images)
        assembled.chunk, assembled.batch, assembled.batches = chunk.index, number, len(planned)
        if number == 0:
            assembled.refusals = refusals + assembled.refusals
        yield assembled


def _inspect(config: StreamConfig, table: pa.Table) -> tuple[list[Label], list[Refusal]]:
    columns = [table.column(name).to_pylist() for name in ("id", "text", "width", "height")]
    checked = [
        inspect_label(config, row, *values)
        for row, (key, *values) in enumerate(zip(split_keys(table), *columns, strict=True))
        if config.takes(key)
    ]
    return (
        [entry for entry in checked if isinstance(entry, Label)],
        [entry for entry in checked if isinstance(entry, Refusal)],
    )


def _fill_buckets(config: StreamConfig, chunk: Chunk, labels: list[Label]) -> list[list[Label]]:
    """Batches of one bucket each, full ones but for the last of every bucket, shuffled."""
    if config.seed is not None:
        rng = np.random.default_rng([_ORDER_SALT, config.seed, chunk.epoch, chunk.index])
        labels = [labels[i] for i in rng.permutation(len(labels))]
    batches: list[list[Label]] = []
    open_batches: dict[int, list[Label]] = {}
    for label in labels:
        filling = open_batches.setdefault(label.bucket_px, [])
        if not filling:
            batches.append(filling)
        filling.append(label)
        if len(filling) == config.batch_size(label.bucket_px):
            del open_batches[label.bucket_px]
    if config.seed is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches


def _decode_batch(
    config: StreamConfig, epoch: int, labels: list[Label], images: pa.ChunkedArray
) -> AssembledBatch:
    kept: list[Label] = []
    contents: list[Pixels] = []
    refusals: list[Refusal] = []
    for label in labels:
        try:
            content_HwC = config.picture.fit(config.picture.decode(images[label.row].as_py()))
        except PictureError as error:
            refusals.append(Refusal(id=label.id, reason=error.reason, message=str(error)))
            continue
        contents.append(content_HwC)
        kept.append(label)
    if config.augment is not None:
        seeds = [_sample_seed(config, epoch, label.id) for label in kept]
        contents = augment_batch(contents, seeds, config.augment)
    pixels = [
        config.picture.pad(content_HwC[:, : label.bucket_px], label.bucket_px)
        for content_HwC, label in zip(contents, kept, strict=True)
    ]
    width = labels[0].bucket_px if labels else config.picture.widths[0]
    empty = np.zeros((0, config.picture.height, width, config.picture.channels), np.uint8)
    return AssembledBatch(
        epoch=epoch,
        chunk=0,
        batch=0,
        batches=0,
        pixels_NHWC=np.stack(pixels) if pixels else empty,
        labels=kept,
        refusals=refusals,
    )


def _sample_seed(config: StreamConfig, epoch: int, sample_id: str) -> int:
    """64 bits that depend on the seed, the epoch and the sample, not on its batch."""
    key = f"{_SAMPLE_SALT} {config.seed or 0} {epoch} {sample_id}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
