"""A ready batch as one Arrow row, and back: what travels from data tasks to the trainers.

The trainers have PyTorch; the processes that fill and hand out rows do without, as loading it takes
longer than the work of a small set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipelines.stream.assemble import AssembledBatch, Refusal

if TYPE_CHECKING:
    import torch

_REFUSAL = pa.struct([("id", pa.string()), ("reason", pa.string()), ("message", pa.string())])
ROW_SCHEMA = pa.schema(
    [
        ("epoch", pa.int32()),
        ("chunk", pa.int32()),
        ("batch", pa.int32()),
        ("batches", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("pixels", pa.large_binary()),
        ("targets", pa.large_binary()),
        ("lengths", pa.large_binary()),
        ("ids", pa.list_(pa.string())),
        ("refusals", pa.list_(_REFUSAL)),
    ]
)


class Delivery:
    """One row taken apart: the batch, its place in the epoch, and what was refused on the way."""

    def __init__(self, row: dict[str, pa.Scalar]) -> None:
        from crnn.training.batch import ReadyBatch

        self.epoch, self.chunk, self.index, self.batches = (
            row[name].as_py() for name in ("epoch", "chunk", "batch", "batches")
        )
        self.refusals = [Refusal(**entry) for entry in row["refusals"].as_py()]
        shape = (-1, *(row[name].as_py() for name in ("height", "width", "channels")))
        self.batch = ReadyBatch(
            images_NHWC=_tensor(row["pixels"], np.uint8).reshape(shape),
            targets_S=_tensor(row["targets"], np.int64),
            lengths_N=_tensor(row["lengths"], np.int64),
            ids=tuple(row["ids"].as_py()),
        )


def _tensor(value: pa.Scalar, dtype: type) -> torch.Tensor:
    """A copy, since Arrow's memory is not ours to write to."""
    import torch

    return torch.from_numpy(np.frombuffer(value.as_buffer(), dtype=dtype).copy())


def to_row(batch: AssembledBatch) -> pa.Table:
    """One row of ``ROW_SCHEMA``."""
    _, height, width, channels = batch.pixels_NHWC.shape
    targets = [class_id for label in batch.labels for class_id in label.target]
    row = {
        "epoch": batch.epoch,
        "chunk": batch.chunk,
        "batch": batch.batch,
        "batches": batch.batches,
        "height": height,
        "width": width,
        "channels": channels,
        "pixels": batch.pixels_NHWC.tobytes(),
        "targets": np.array(targets, dtype=np.int64).tobytes(),
        "lengths": np.array([len(lb.target) for lb in batch.labels], dtype=np.int64).tobytes(),
        "ids": [label.id for label in batch.labels],
        "refusals": [vars(refusal) for refusal in batch.refusals],
    }
    return pa.Table.from_pylist([row], schema=ROW_SCHEMA)


def deliveries(table: pa.Table) -> Iterator[Delivery]:
    """The rows of a block, in order."""
    for index in range(table.num_rows):
        yield Delivery({name: table.column(name)[index] for name in table.column_names})
