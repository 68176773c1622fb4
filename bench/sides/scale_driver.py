"""The driver's own work at sizes that no picture is needed for: entries are made up, code is real.

``bulk``: pages of a listing → ``Known`` → ``Ledger`` → ``Agenda`` → tasks, with nobody reading yet,
as when listing is faster than reading; then the same output folder taken up by a second run.
``stream``: a manifest → ``Source`` → ``epoch_chunks`` → ``work_left``, and what each task is sent.

CPU seconds of one process, and its peak memory. Each size runs in a process of its own.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crnn.charset import Charset
from crnn.image import PictureContract
from pipelines.agenda import Agenda
from pipelines.manifest import Part, ShardEntry, finish
from pipelines.recognition.flow import _tasks
from pipelines.recognition.inputs import PAGE_ROWS, SCHEMA
from pipelines.recognition.known import Known
from pipelines.recognition.plan import Chunk, Ledger, Plan
from pipelines.shards import ROW_GROUP_BYTES, ROW_GROUP_ROWS, SHARD_BYTES
from pipelines.stream import flow
from pipelines.stream.assemble import StreamConfig
from pipelines.stream.cursor import Cursor
from pipelines.stream.plan import epoch_chunks

Figures = dict[str, float]
_DIGEST = "0" * 64


def bulk(entries: int, processes: int) -> Figures:
    """CPU seconds of each part for this many inputs, bytes, and counts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _bulk_run(PAGE_ROWS, folder + "/warm", processes)
        begin_bytes = _memory("VmRSS")
        figures = _bulk_run(entries, folder + "/out", processes)
        figures["memory_bytes"] = _memory("VmHWM") - begin_bytes
        figures |= _bulk_again(folder + "/out")
        figures["again_memory_bytes"] = _memory("VmHWM") - begin_bytes
    return figures


def stream(samples: int, sample_bytes: int) -> Figures:
    """The same for the plan of an epoch over this many samples, and the sizes of what it sends."""
    begin_bytes = _memory("VmRSS")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        finish(folder, [Part(count=samples, shards=tuple(_shards(samples, sample_bytes)))], {})
        manifest_bytes = (Path(folder) / "manifest.json").stat().st_size
        load_s, (source, _) = _cpu(lambda: flow.load_source(folder))
    config = StreamConfig(
        sources=(source,), charset=Charset("a"), picture=PictureContract(), time_steps=()
    )
    plan_s, chunks = _cpu(lambda: epoch_chunks(config.sources, seed=0, epoch=0))
    middle = len(chunks) // 2
    cursor = Cursor(done=dict.fromkeys(range(middle), 1), sizes=dict.fromkeys(range(middle), 1))
    left_s, _ = _cpu(lambda: flow.work_left(config, cursor, 1))
    done_s, _ = _cpu(lambda: flow.epoch_done(config, cursor))
    state_s, state = _cpu(lambda: json.dumps(cursor.state_dict()))
    sent = pickle.dumps(config, protocol=5)
    open_s, _ = _cpu(lambda: pickle.loads(sent))
    return {
        "chunks": len(chunks),
        "row_groups": len(source.groups),
        "manifest_bytes": manifest_bytes,
        "load_s": load_s,
        "plan_s": plan_s,
        "turn_s": left_s + done_s,
        "config_bytes": len(sent),
        "config_open_s": open_s,
        "cursor_bytes": 2 * len(state),
        "cursor_s": 2 * state_s,
        "memory_bytes": _memory("VmHWM") - begin_bytes,
    }


def _bulk_run(entries: int, folder: str, processes: int) -> Figures:
    spent = {"page_s": 0.0, "known_s": 0.0}
    known, ledger = Known([]), Ledger(folder, _DIGEST)
    pages = _pages(entries)

    def fresh() -> Iterator[pa.Table]:
        while True:
            before_s = time.thread_time()
            page = next(pages, None)
            made_s = time.thread_time()
            spent["page_s"] += made_s - before_s
            if page is None:
                return
            new = known.fresh(page)
            spent["known_s"] += time.thread_time() - made_s
            yield new

    began_s = time.process_time()
    agenda: Agenda[Chunk] = Agenda([], _timed(ledger.add(fresh()), spent))
    while not agenda.complete:
        agenda.wait()
        time.sleep(0.05)
    listed_s = time.process_time()
    tasks = 0
    while window := agenda.take():
        tasks += len(_tasks(window, processes))
    ended_s = time.process_time()
    assert agenda.rows == entries
    chunks = sum(len(plan.groups) for plan in ledger.plans())
    _touch_parts(ledger, share=0.5)
    return {
        "known_s": spent["known_s"],
        "plan_s": spent["add_s"] - spent["known_s"] - spent["page_s"],
        "agenda_s": max(0.0, listed_s - began_s - spent["add_s"]) + ended_s - listed_s,
        "chunks": chunks,
        "plans": len(ledger.plans()),
        "tasks": tasks,
        "plan_bytes": sum(file.stat().st_size for file in Path(ledger.work_uri).iterdir()),
    }


def _timed(plans: Iterator[Plan], spent: Figures) -> Iterator[Plan]:
    """The same plans; CPU seconds of making them go to ``add_s``."""
    spent["add_s"] = 0.0
    while True:
        began_s = time.thread_time()
        plan = next(plans, None)
        spent["add_s"] += time.thread_time() - began_s
        if plan is None:
            return
        yield plan


def _bulk_again(folder: str) -> Figures:
    """The same folder taken up again, half of it read: what is left, and what is known."""
    ledger = Ledger(folder, _DIGEST)
    left_s, left = _cpu(ledger.chunks_left)
    known_s, _ = _cpu(lambda: Known(ledger.inputs(plan) for plan in reversed(ledger.plans())))
    assert left
    return {"again_left_s": left_s, "again_known_s": known_s}


def _touch_parts(ledger: Ledger, *, share: float) -> None:
    Path(ledger.results_uri).mkdir(parents=True, exist_ok=True)
    chunks = [chunk for plan in ledger.plans() for chunk in plan.chunks()]
    for chunk in chunks[: int(share * len(chunks))]:
        (Path(ledger.results_uri) / chunk.part).touch()


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


def _shards(samples: int, sample_bytes: int) -> Iterator[ShardEntry]:
    """Shards as ``ShardWriter`` cuts them."""
    group = min(ROW_GROUP_ROWS, max(1, ROW_GROUP_BYTES // sample_bytes))
    shard = max(1, SHARD_BYTES // (group * sample_bytes)) * group
    for number, start in enumerate(range(0, samples, shard)):
        rows = min(shard, samples - start)
        groups = (group,) * (rows // group) + ((rows % group,) if rows % group else ())
        yield ShardEntry(
            name=f"{number // 1000:05d}-{number % 1000:03d}.parquet",
            rows=rows,
            row_groups=groups,
            bytes=rows * sample_bytes,
            digest=_DIGEST,
        )


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


def _memory(name: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process, bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    which, size, other = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(bulk(size, other) if which == "bulk" else stream(size, other)))
