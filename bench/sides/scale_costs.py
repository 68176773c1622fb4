"""From measured rates and sizes to a job's pace and requests: arithmetic, and nothing else.

A job is as fast as the slowest of what it needs at the same time; that one is its bottleneck.
Measured figures come in as plain numbers by name; what was not measured is an ``Assumptions``.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from pipelines.agenda import WINDOW_CHUNKS
from pipelines.read_ahead import REMOTE_THREADS
from pipelines.recognition.flow import _tasks
from pipelines.recognition.plan import CHUNK_ROWS
from pipelines.stream.assemble import READY_BATCH_PIXELS
from pipelines.stream.flow import BLOCK_BATCHES, MAX_CHUNKS
from pipelines.stream.plan import CHUNK_ROWS as STREAM_ROWS

Figures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What was not measured here: other machines, a real S3, prices. Each is a flag."""

    core: float = 1.0
    """Speed of a core there, relative to one here."""
    node_cores: int = 16
    """Cores of a CPU node."""
    core_pictures_s: float = 0.0
    """Pictures a second that a core decodes and reads alone; 0: as measured here."""
    bulk_efficiency: float = 0.87
    """Bulk reading end to end against decoding and engine alone, as docs/performance.md has it."""
    gpu_samples_s: float = 20_000.0
    """Samples a second that one GPU trains on."""
    gpu_node_cores: int = 8
    """Cores of a GPU node, which decode for it."""
    execution_s: float = 1.3
    """Seconds until an execution of Ray Data does its first work."""
    list_wait_s: float = 0.1
    """Seconds that S3 takes for a page of 1,000 keys."""
    picture_wait_s: float = 0.025
    """Seconds that S3 takes for a picture."""
    prefixes: int = 16
    """Prefixes over which the keys are spread evenly, so that S3 serves each by itself."""
    prefix_requests_s: float = 5500.0
    """HEAD and GET requests a second that S3 answers for each of them, as AWS documents it."""
    list_price: float = 5.0
    """Dollars for a million LIST or PUT requests."""
    get_price: float = 0.4
    """Dollars for a million GET or HEAD requests."""


def bulk_requests(pictures: int, store: Figures) -> dict[str, int]:
    """Requests of a bulk job over the objects of a bucket, by kind."""
    chunks = ceil(pictures / CHUNK_ROWS)
    of_chunks = {
        kind: round(chunks * store[f"{kind} model="] / store["chunks"])
        for kind in ("HEAD", "GET", "PUT")
    }
    return {
        "LIST": ceil(pictures / 1000) + ceil(chunks / 1000),
        "HEAD": of_chunks["HEAD"],
        "GET": pictures + of_chunks["GET"],
        "PUT": of_chunks["PUT"],
    }


def price(requests: Mapping[str, int], assume: Assumptions) -> float:
    """Dollars for these requests."""
    dear = requests["LIST"] + requests["PUT"]
    cheap = requests["GET"] + requests["HEAD"]
    return (dear * assume.list_price + cheap * assume.get_price) / 1e6


def window_seconds(
    processes: int, chunk_s: float, task_s: float, execution_s: float, chunks: int = WINDOW_CHUNKS
) -> float:
    """Seconds of one window of a bulk job: its real tasks, handed out one after another by the
    driver, each to the process that is free first; the next window begins when all have ended."""
    free = [0.0] * processes
    for number, task in enumerate(_tasks(range(chunks), processes)):  # type: ignore[arg-type]
        begin = max(heapq.heappop(free), number * task_s)
        heapq.heappush(free, begin + len(task) * chunk_s)
    return execution_s + max(free)


def core_rate(measured: Figures, assume: Assumptions) -> float:
    """Pictures a second that a core fetches and reads in a bulk job."""
    alone = assume.core_pictures_s or 1 / (measured["decode_s"] + measured["engine_s"])
    return assume.core / (1 / (assume.bulk_efficiency * alone) + measured["fetch_s"])


def window_rate(cores: int, measured: Figures, assume: Assumptions) -> float:
    """Pictures a second of a bulk job on these cores, its windows one after another."""
    chunk_s = CHUNK_ROWS / core_rate(measured, assume)
    task_s = measured["task_s"] / assume.core
    return WINDOW_CHUNKS * CHUNK_ROWS / window_seconds(cores, chunk_s, task_s, assume.execution_s)


def bulk_rates(
    nodes: int,
    jobs: int,
    measured: Figures,
    assume: Assumptions,
    *,
    planned_s: float,
    is_list: bool,
) -> dict[str, float]:
    """Pictures a second that each part of a bulk job can do, the slowest first.

    One of ``jobs`` alike that share the store and nothing else; the nodes are its own.
    ``planned_s``: CPU seconds of the driver's plan for an input; ``is_list``: a list names them.
    """
    cores = nodes * assume.node_cores
    listed_s = (planned_s + measured["list_row_s" if is_list else "bucket_key_s"]) / assume.core
    listed_s += 0 if is_list else assume.list_wait_s / 1000
    return _slowest_first(
        {
            "cores": window_rate(cores, measured, assume),
            "fetching": cores * REMOTE_THREADS / assume.picture_wait_s,
            "S3": assume.prefixes * assume.prefix_requests_s / jobs,
            "listing and planning": 1 / listed_s,
        }
    )


def stream_rates(
    gpus: int, measured: Figures, assume: Assumptions, batch_pixels: int = READY_BATCH_PIXELS
) -> dict[str, float]:
    """Samples a second that each part of training can do, one GPU a node, the slowest first."""
    block = BLOCK_BATCHES * batch_pixels / measured["ready_bytes"]
    return _slowest_first(
        {
            "GPUs": gpus * assume.gpu_samples_s,
            "the nodes' cores": gpus * assume.gpu_node_cores * assume.core / measured["assemble_s"],
            "blocks": block * assume.core / measured["block_s"],
            "tasks": STREAM_ROWS * assume.core / measured["task_s"],
        }
    )


def with_pauses(rate: float, assume: Assumptions) -> float:
    """The same, when all ranks wait for the next execution of the stream now and then."""
    samples = MAX_CHUNKS * STREAM_ROWS
    return samples / (samples / rate + assume.execution_s)


def _slowest_first(rates: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(rates.items(), key=lambda entry: entry[1]))
