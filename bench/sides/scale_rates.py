"""What a picture costs in bytes and CPU, by the real parts of each job, one thread, no Ray.

``rates``: rendered pictures through decoding, engine, batches, labels and training steps.
``overhead``: what the driver spends on each task of Ray Data, by tasks that do nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bench.sides.sets import CHARSET, new_model
from crnn.charset import Charset
from crnn.image import PictureContract
from crnn.prepare import prepare
from crnn.recognizer import Recognizer
from crnn.training.optim_config import OptimConfig
from crnn.training.trainer import Trainer
from pipelines.augment import AugmentConfig
from pipelines.recognition.inputs import SCHEMA
from pipelines.recognition.rows import result_table
from pipelines.render.config import RenderConfig, chosen_fonts
from pipelines.render.synth import render_samples
from pipelines.shards import Sample, ShardWriter, finish
from pipelines.stream.assemble import StreamConfig, assemble_chunk
from pipelines.stream.cursor import Cursor
from pipelines.stream.flow import load_source, ready_batches, work_left
from pipelines.stream.plan import Source, epoch_chunks
from pipelines.stream.rows import deliveries, to_row
from pipelines.stream.scan import _scan_pieces

Figures = dict[str, float]
_CHUNK = 512
_STEPS = 6


def samples_of(count: int) -> list[Sample]:
    """Rendered strings, as ``jobs/train.py`` renders them."""
    config = RenderConfig(count=count)
    return list(render_samples(config, chosen_fonts(config, system=False), 0, count))


def stream_config(source: Source) -> StreamConfig:
    """The training stream that ``jobs/train.py`` makes of a set by default."""
    charset, picture = Charset.named(CHARSET), PictureContract()
    model = new_model(charset, picture)
    return StreamConfig(
        sources=(source,),
        charset=charset,
        picture=picture,
        time_steps=tuple((width, model.time_steps(width)) for width in picture.widths),
        augment=AugmentConfig(),
    )


def rates(bundle: str, pictures: int) -> Figures:
    """CPU seconds and bytes a picture."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    samples = samples_of(pictures)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = _bulk_rates(bundle, samples, Path(folder))
        found |= _stream_rates(samples, folder)
    return found | {"picture_bytes": sum(len(s["image"]) for s in samples) / len(samples)}


def overhead(items: Sequence[int], samples: int) -> Figures:
    """CPU seconds that the driver spends on a task that does nothing, and on a block that comes."""
    import ray

    from jobs.cluster import connect
    from pipelines.spread import Processes, spread

    connect(None)
    config_ref = ray.put(None)
    spent = {}
    for count in (items[0], *items):  # the first time warms up
        began_s = time.process_time()
        told = sum(1 for _ in spread(_nothing, config_ref, range(count), Processes()))
        spent[count] = time.process_time() - began_s
        assert told == count
    block_s = _block_s(samples)
    ray.shutdown()
    few, many = items[0], items[-1]
    return {"task_s": (spent[many] - spent[few]) / (many - few), "block_s": block_s}


def _block_s(count: int) -> float:
    """CPU seconds that a block of ready batches costs the process that runs the stream and reads
    it."""
    samples = samples_of(min(count, 2048))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with ShardWriter(folder, "0") as writer:
            for _ in range(count // len(samples)):
                writer.write(samples)
        finish(folder, [writer.close()], {})
        usual = replace(stream_config(load_source(folder)[0]), augment=None)
        spent: list[tuple[int, float]] = []
        for times in (1, 1, 8):  # the first time warms up
            config = replace(usual, batch_pixels=times * usual.batch_pixels)
            dataset = ready_batches(config, work_left(config, Cursor(), 1))
            whole: Any = None  # as in ``flow.read``
            tables = dataset.iter_batches(batch_size=whole, batch_format="pyarrow")
            began_s = time.process_time()
            blocks = sum(1 for _ in tables)
            spent.append((blocks, time.process_time() - began_s))
    _, (many, many_s), (few, few_s) = spent
    return (many_s - few_s) / (many - few)


def _nothing(_: object) -> Callable[[int], Iterable[int]]:
    """A worker whose items cost nothing."""
    return lambda item: [item]


def _bulk_rates(bundle: str, samples: Sequence[Sample], folder: Path) -> Figures:
    recognizer = Recognizer.load(bundle)
    contract = recognizer.bundle.picture
    decode = recognizer.decoder()
    decode_s, prepared = _cpu(lambda: [prepare(s["image"], contract) for s in samples])
    recognizer.read_prepared(prepared[:_CHUNK], decode)  # warms up
    engine_s, chunks = _cpu(
        lambda: [
            recognizer.read_prepared(prepared[at : at + _CHUNK], decode)
            for at in range(0, len(prepared), _CHUNK)
        ]
    )
    uris = [f"s3://bucket/crops/{n:012d}.jpg" for n in range(_CHUNK)]
    rows = [{"uri": uri, "etag": os.urandom(16).hex()} for uri in uris]
    inputs = pa.Table.from_pylist(rows, schema=SCHEMA)

    def write() -> None:
        table = result_table(inputs, chunks[0], min_confidence=0.0, chars=True)
        pq.write_table(table, folder / "part.parquet", compression="zstd")

    write_s, _ = _cpu(write)
    return {
        "decode_s": decode_s / len(samples),
        "engine_s": engine_s / len(samples),
        "write_s": write_s / _CHUNK,
        "result_bytes": (folder / "part.parquet").stat().st_size / _CHUNK,
    }


def _stream_rates(samples: Sequence[Sample], folder: str) -> Figures:
    with ShardWriter(folder, "0") as writer:
        writer.write(samples)
    finish(folder, [writer.close()], {})
    config = stream_config(load_source(folder)[0])
    chunks = epoch_chunks(config.sources, seed=0, epoch=0)
    assemble_s, rows = _cpu(
        lambda: [to_row(batch) for chunk in chunks for batch in assemble_chunk(config, chunk)]
    )
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    scan_s, _ = _cpu(lambda: _scan_pieces(config, pieces))
    batches = [delivery.batch for row in rows for delivery in deliveries(row)][: _STEPS + 2]
    trainer = Trainer(
        new_model(config.charset, config.picture),
        config.charset,
        OptimConfig(),
        total_samples=10**9,
        device=torch.device("cpu"),
    )
    for batch in batches[:2]:  # warm up
        trainer.train([batch])
    train_s, _ = _cpu(lambda: [trainer.train([batch]) for batch in batches[2:]])
    return {
        "assemble_s": assemble_s / len(samples),
        "scan_s": scan_s / len(samples),
        "train_s": train_s / sum(map(len, batches[2:])),
        "ready_bytes": sum(row.nbytes for row in rows) / len(samples),
        "shard_bytes": sum(f.stat().st_size for f in Path(folder).glob("*.parquet")) / len(samples),
    }


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


if __name__ == "__main__":
    if sys.argv[1] == "rates":
        print(json.dumps(rates(sys.argv[2], int(sys.argv[3]))))
    else:
        few, many, samples = map(int, sys.argv[2:])
        print(json.dumps(overhead([few, many], samples)))
