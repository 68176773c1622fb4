"""The plain sides: a training loop in PyTorch alone, as someone without Ray would write it.

python bench/sides/plain_loop.py loader SET TALLY THREADS    a DataLoader worker decodes, augments
python bench/sides/plain_loop.py memory SET TALLY THREADS    ready tensors, nothing to decode

Runs until it is ended, and counts the pictures it has trained on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.sides.sets import new_model, stream_of
from bench.sides.turns import RAY_NICENESS, Tally
from crnn.images.contract import Pixels, decode_pixels
from crnn.training.batch import ReadyBatch
from crnn.training.optim_config import OptimConfig
from crnn.training.trainer import Trainer
from pipelines.augment import augment_batch
from pipelines.shards import read_row_group
from pipelines.stream.assemble import Label, StreamConfig, inspect_label

KEPT_BATCHES = 96
Item = tuple[Label, Pixels]


class Pictures(Dataset[Item]):
    """Every usable picture of a set; the encoded bytes are in memory, in Arrow."""

    def __init__(self, config: StreamConfig) -> None:
        source = config.sources[0]
        table = pa.concat_tables(
            read_row_group(source.uri, shard, group) for shard, group, _ in source.groups
        )
        self.config = config
        self.images = table.column("image").combine_chunks()
        columns = [table.column(name).to_pylist() for name in ("id", "text", "width", "height")]
        found = [inspect_label(config, i, *row) for i, row in enumerate(zip(*columns, strict=True))]
        self.labels = [label for label in found if isinstance(label, Label)]
        self._rng: np.random.Generator | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Item]:
        """A batch; what a ``DataLoader`` asks for where there is such a method."""
        assert self.config.augment is not None, "the stream is one for training"
        labels = [self.labels[index] for index in indices]
        images = [decode_pixels(self.images[label.row].as_py()) for label in labels]
        contents = [self.config.picture.fit(image) for image in images]
        seeds = self._generator().integers(2**63, size=len(labels)).tolist()
        return list(zip(labels, augment_batch(contents, seeds, self.config.augment), strict=True))

    def _generator(self) -> np.random.Generator:
        if self._rng is None:
            worker = get_worker_info()
            self._rng = np.random.default_rng(worker.seed if worker else 0)
        return self._rng


class BucketBatches(Sampler[list[int]]):
    """Shuffled batches of one bucket each, as large as the stream's; a new order every pass."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.rng = np.random.default_rng(0)

    def __iter__(self) -> Iterator[list[int]]:
        config, batches = self.pictures.config, []
        widths = np.array([label.bucket_px for label in self.pictures.labels])
        for width in np.unique(widths).tolist():
            rows = self.rng.permutation(np.flatnonzero(widths == width))
            size = config.batch_size(width)
            batches += [rows[i : i + size].tolist() for i in range(0, len(rows), size)]
        return iter([batches[i] for i in self.rng.permutation(len(batches))])


class Collate:
    """Items of one bucket → a ready batch."""

    def __init__(self, config: StreamConfig) -> None:
        self.picture = config.picture

    def __call__(self, items: list[Item]) -> ReadyBatch:
        """Padded, stacked, with their targets joined."""
        width = items[0][0].bucket_px
        pixels = [self.picture.pad(content[:, :width], width) for _, content in items]
        return ReadyBatch(
            images_NHWC=torch.from_numpy(np.stack(pixels)),
            targets_S=torch.tensor([c for label, _ in items for c in label.target]),
            lengths_N=torch.tensor([len(label.target) for label, _ in items]),
            ids=tuple(label.id for label, _ in items),
        )


def loader(config: StreamConfig, workers: int) -> DataLoader[Item]:
    pictures = Pictures(config)
    return DataLoader(
        pictures,
        batch_sampler=BucketBatches(pictures),
        collate_fn=Collate(config),
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_single_threaded,
    )


def batches_in_memory(config: StreamConfig) -> list[ReadyBatch]:
    """The first ready batches, decoded and augmented once."""
    return list(islice(loader(config, 0), KEPT_BATCHES))


def endless(batches: DataLoader[Item]) -> Iterator[ReadyBatch]:
    while True:
        yield from batches


def train(config: StreamConfig, batches: Iterator[ReadyBatch], tally: Tally) -> None:
    """The recipe of ``jobs/train.py``: model, optimizer, schedule and average of weights."""
    trainer = Trainer(
        new_model(config.charset, config.picture),
        config.charset,
        OptimConfig(),
        total_samples=10**9,
        device=torch.device("cpu"),
    )
    for batch in batches:
        trainer.train([batch])
        tally.add(len(batch))


def _single_threaded(_: int) -> None:
    cv2.setNumThreads(0)


def main(kind: str, uri: str, tally_path: str, threads: str) -> None:
    os.nice(RAY_NICENESS)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    config, tally = stream_of(uri), Tally(Path(tally_path))
    if kind == "memory":
        train(config, cycle(batches_in_memory(config)), tally)
    else:
        train(config, endless(loader(config, 1)), tally)


if __name__ == "__main__":
    main(*sys.argv[1:])
