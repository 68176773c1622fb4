"""From measured rates and sizes to nodes, hours and requests: arithmetic, and nothing else.

A job is as fast as the slowest of what it needs at the same time; that one is its bottleneck.
Measured figures come in as plain numbers by name; what nobody measured here is an ``Assumptions``.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from pipelines.agenda import WINDOW_CHUNKS
from pipelines.recognition.flow import _tasks
from pipelines.recognition.plan import CHUNK_ROWS, MOST_PLAN_CHUNKS
from pipelines.shards import ROW_GROUP_ROWS
from pipelines.stream.assemble import BATCH_PIXELS
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
    bulk_efficiency: float = 0.64
    """Bulk reading end to end against decoding and engine alone: bench/bulk.py's figure."""
    gpu_samples_s: float = 20_000.0
    """Samples a second that one GPU trains on."""
    gpu_node_cores: int = 8
    """Cores of a GPU node, which decode for it."""
    execution_s: float = 1.3
    """Seconds until an execution of Ray Data does its first work."""
    list_wait_s: float = 0.1
    """Seconds that S3 takes for a page of 1,000 keys."""
    head_wait_s: float = 0.02
    """Seconds that S3 takes for a HEAD."""
    list_price: float = 5.0
    """Dollars for a million LIST or PUT requests."""
    get_price: float = 0.4
    """Dollars for a million GET or HEAD requests."""
    node_price: float = 0.68
    """Dollars for an hour of a CPU node."""
    gpu_node_price: float = 1.21
    """Dollars for an hour of a GPU node."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """``linear * n + square * n * n``, through measured points."""

    linear: float
    square: float
    error: float
    """How far the fit through all points but the largest is from that one, as a share of it."""

    def at(self, size: float) -> float:
        """The value for this size."""
        return self.linear * size + self.square * size * size


def fitted(points: Mapping[int, float]) -> Fit:
    """The fit through at least three (size, value), by least squares of relative errors."""
    if len(points) < 3:
        raise ValueError(f"there are {len(points)} points; expected at least 3 to fit and to check")
    linear, square = _coefficients(points)
    largest = max(points)
    rest = {size: value for size, value in points.items() if size != largest}
    a, b = _coefficients(rest)
    guess = a * largest + b * largest * largest
    return Fit(
        linear=linear,
        square=square,
        error=abs(guess - points[largest]) / points[largest] if points[largest] else 0.0,
    )


def bulk_requests(pictures: int, store: Figures, chunk_rows: int = CHUNK_ROWS) -> dict[str, int]:
    """Requests of a bulk job over objects of a bucket, by kind."""
    chunks = ceil(pictures / chunk_rows)
    plans = ceil(chunks / MOST_PLAN_CHUNKS)
    each = {name: count / store["chunks"] for name, count in store.items() if "results" in name}
    whole = {name: count / store["pictures"] for name, count in store.items() if "crops" in name}
    return {
        "LIST": ceil(pictures / 1000) + 2 * ceil(chunks / 1000),
        "HEAD": round(
            pictures * round(whole["bulk HEAD crops"]) + chunks * (each["bulk HEAD results"] + 1)
        ),
        "GET": round(
            pictures * round(whole["bulk GET crops"]) + chunks * (each["bulk GET results"] + 1)
        ),
        "PUT": round(chunks * each["bulk PUT results"]) + plans + 3,
    }


def stream_requests(
    samples: int, store: Figures, group_rows: int = ROW_GROUP_ROWS
) -> dict[str, int]:
    """Requests of one epoch of training over shards, the look at the labels included."""
    groups = ceil(samples / group_rows)
    each = {name: count / store["groups"] for name, count in store.items()}
    return {
        "HEAD": round(groups * (each["train HEAD shards"] + each["scan HEAD shards"])),
        "GET": round(groups * (each["train GET shards"] + each["scan GET shards"])),
    }


def price(requests: Mapping[str, int], assume: Assumptions) -> float:
    """Dollars for these requests."""
    dear = requests.get("LIST", 0) + requests.get("PUT", 0)
    cheap = requests.get("GET", 0) + requests.get("HEAD", 0)
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


def bulk_rates(
    pictures: int, nodes: int, measured: Figures, known: Fit, assume: Assumptions
) -> dict[str, float]:
    """Pictures a second that each part of a bulk job can do, the slowest first."""
    core = assume.core
    cores = nodes * assume.node_cores
    picture_s = measured["decode_s"] + measured["engine_s"] + measured["write_s"]
    core_rate = core * assume.bulk_efficiency / picture_s
    window_s = window_seconds(
        cores, CHUNK_ROWS / core_rate, measured["task_s"] / core, assume.execution_s
    )
    plan_s = known.at(pictures) / pictures / core
    key_s = measured["bucket_key_s"] / core + assume.list_wait_s / 1000
    rates = {
        "cores": cores * core_rate,
        "windows and tasks": WINDOW_CHUNKS * CHUNK_ROWS / window_s,
        "listing a bucket": 1 / (key_s + plan_s),
        "reading a list": 1 / (measured["list_row_s"] / core + plan_s),
    }
    return dict(sorted(rates.items(), key=lambda entry: entry[1]))


def stream_rates(
    samples: int,
    gpus: int,
    measured: Figures,
    fits: Mapping[str, Fit],
    assume: Assumptions,
    batch_pixels: int = BATCH_PIXELS,
) -> dict[str, float]:
    """Samples a second that each part of training can do, one GPU a node, the slowest first."""
    core = assume.core
    block = BLOCK_BATCHES * batch_pixels / measured["sample_pixels"]
    assemble_s = measured["assemble_s"] + fits["config_open_s"].at(samples) / STREAM_ROWS
    rates = {
        "GPUs": gpus * assume.gpu_samples_s,
        "their nodes' cores": gpus * (assume.gpu_node_cores - 1) * core / assemble_s,
        "blocks": block * core / measured["block_s"],
        "tasks": STREAM_ROWS * core / measured["task_s"],
    }
    return dict(sorted(rates.items(), key=lambda entry: entry[1]))


def turn_seconds(samples: int, fits: Mapping[str, Fit], assume: Assumptions) -> float:
    """Seconds that all ranks wait between two executions of the stream."""
    return assume.execution_s + fits["turn_s"].at(samples) / assume.core


def turns(samples: int) -> int:
    """Executions of the stream in an epoch."""
    return ceil(samples / (MAX_CHUNKS * STREAM_ROWS))


def _coefficients(points: Mapping[int, float]) -> tuple[float, float]:
    """Linear and square part; neither is below 0."""
    sizes = np.array(sorted(points), dtype=float)
    values = np.array([points[int(size)] for size in sizes])
    weight = 1 / np.where(values > 0, values, 1)
    columns: Sequence[np.ndarray] = [sizes * weight, sizes**2 * weight]
    (a, b), *_ = np.linalg.lstsq(np.stack(columns, axis=1), values * weight, rcond=None)
    if b < 0 or a < 0:
        only = columns[0] if b < 0 else columns[1]
        best = float(only @ (values * weight) / (only @ only))
        return (best, 0.0) if b < 0 else (0.0, best)
    return float(a), float(b)
