"""What a picture costs in bytes and CPU, by the real parts of each job, in one process.

``rates``: rendered pictures through decoding, engine, ready batches and label checks.
``overhead``: what the driver spends on each task of Ray Data and on each block of ready batches.
``driver``: what it spends on planning a bulk job, its own code over made-up entries.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import ray
import torch

from bench.sides.sets import stream_of
from crnn.images.prepare import prepare
from crnn.inference.recognizer import Recognizer
from jobs.cluster import connect
from pipelines.recognition.inputs import PAGE_ROWS, SCHEMA
from pipelines.recognition.known import Known
from pipelines.recognition.plan import Ledger
from pipelines.render.config import RenderConfig, chosen_fonts
from pipelines.render.synth import render_samples
from pipelines.shards import Sample, ShardWriter, finish
from pipelines.spread import Processes, spread
from pipelines.stream.assemble import assemble_chunk
from pipelines.stream.cursor import Cursor
from pipelines.stream.flow import ready_batches, work_left
from pipelines.stream.plan import epoch_chunks
from pipelines.stream.rows import to_row
from pipelines.stream.scan import _scan_pieces

PICTURES, BLOCK_SAMPLES = 2048, 8192
FEW, MANY = 128, 640
Figures = dict[str, float]
_CHUNK = 512


def samples_of(count: int) -> list[Sample]:
    """Rendered strings, as ``jobs/train.py`` renders them."""
    config = RenderConfig(count=count)
    return list(render_samples(config, chosen_fonts(config, system=False), 0, count))


def rates(bundle: str) -> Figures:
    """CPU seconds and bytes a picture."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    samples = samples_of(PICTURES)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = _bulk_rates(bundle, samples) | _stream_rates(samples, folder)
    return found | {"picture_bytes": sum(len(s["image"]) for s in samples) / len(samples)}


def overhead() -> Figures:
    """CPU seconds that the driver spends on a task that does nothing, and on a block that comes."""
    connect(None)
    config_ref = ray.put(None)
    spent = {}
    for count in (FEW, FEW, MANY):  # the first time warms up
        began_s = time.process_time()
        assert len(list(spread(_nothing, config_ref, range(count), Processes()))) == count
        spent[count] = time.process_time() - began_s
    block_s = _block_s()
    ray.shutdown()
    return {"task_s": (spent[MANY] - spent[FEW]) / (MANY - FEW), "block_s": block_s}


def _nothing(_: object) -> Callable[[int], Iterable[int]]:
    """A worker whose items cost nothing."""
    return lambda item: [item]


def _block_s() -> float:
    """CPU seconds of a block of ready batches in the process that runs the stream and reads it."""
    samples = samples_of(PICTURES)
    spent: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with ShardWriter(folder, "0") as writer:
            for _ in range(BLOCK_SAMPLES // PICTURES):
                writer.write(samples)
        finish(folder, [writer.close()], {})
        usual = replace(stream_of(folder), augment=None)
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


def _bulk_rates(bundle: str, samples: Sequence[Sample]) -> Figures:
    recognizer = Recognizer.load(bundle)
    contract, decode = recognizer.bundle.picture, recognizer.decoder()
    decode_s, prepared = cpu(lambda: [prepare(s["image"], contract) for s in samples])
    chunks = [prepared[at : at + _CHUNK] for at in range(0, len(prepared), _CHUNK)]
    recognizer.read_prepared(chunks[0], decode)  # warms up
    engine_s, _ = cpu(lambda: [recognizer.read_prepared(chunk, decode) for chunk in chunks])
    return {"decode_s": decode_s / len(samples), "engine_s": engine_s / len(samples)}


def _stream_rates(samples: Sequence[Sample], folder: str) -> Figures:
    with ShardWriter(folder, "0") as writer:
        writer.write(samples)
    finish(folder, [writer.close()], {})
    config = stream_of(folder)
    chunks = epoch_chunks(config.sources, seed=0, epoch=0)
    assemble_s, rows = cpu(
        lambda: [to_row(batch) for chunk in chunks for batch in assemble_chunk(config, chunk)]
    )
    pieces = [piece for chunk in chunks for piece in chunk.pieces]
    scan_s, _ = cpu(lambda: _scan_pieces(config, pieces))
    return {
        "assemble_s": assemble_s / len(samples),
        "scan_s": scan_s / len(samples),
        "ready_bytes": sum(row.nbytes for row in rows) / len(samples),
        "shard_bytes": sum(f.stat().st_size for f in Path(folder).glob("*.parquet")) / len(samples),
    }


def driver(entries: int) -> Figures:
    """What planning this many inputs costs, and taking their plans up again."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _planned(PAGE_ROWS, f"{folder}/warm")
        begin_bytes = _memory("VmRSS")
        made_s, _ = cpu(lambda: sum(map(len, _pages(entries))))
        plan_s, ledger = cpu(lambda: _planned(entries, f"{folder}/out"))
        memory_bytes = _memory("VmHWM") - begin_bytes
        plans = ledger.plans()
        again_s, _ = cpu(lambda: Known(ledger.inputs(plan) for plan in reversed(plans)))
        return {
            "chunks": sum(len(plan.groups) for plan in plans),
            "plan_s": plan_s - made_s,
            "again_s": again_s,
            "memory_bytes": memory_bytes,
        }


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what came of it."""
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


def _planned(entries: int, folder: str) -> Ledger:
    """The ledger of a bulk job that has listed these entries, and read none."""
    known, ledger = Known([]), Ledger(folder, "0" * 64)
    for _ in ledger.add(known.fresh(page) for page in _pages(entries)):
        pass
    return ledger


def _pages(entries: int) -> Iterator[pa.Table]:
    """Pages as a listing of a bucket gives them: keys in order, tags that don't compress."""
    rng = np.random.default_rng(0)
    for start in range(0, entries, PAGE_ROWS):
        rows = min(PAGE_ROWS, entries - start)
        tags = rng.bytes(16 * rows).hex()
        yield pa.table(
            [
                pa.array([f"s3://bucket/crops/{i:012d}.jpg" for i in range(start, start + rows)]),
                pa.array([tags[32 * i : 32 * i + 32] for i in range(rows)]),
                pa.array(rng.integers(1000, 4000, rows)),
                pa.nulls(rows, SCHEMA.field("region").type),
                pa.nulls(rows, SCHEMA.field("problem").type),
            ],
            schema=SCHEMA,
        )


def _memory(name: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process, bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    ways = {"rates": rates, "overhead": overhead, "driver": lambda size: driver(int(size))}
    print(json.dumps(ways[sys.argv[1]](*sys.argv[2:])))
