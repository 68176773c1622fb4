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
from pipelines.recognition.source import REMOTE_THREADS
from pipelines.shards import ROW_GROUP_ROWS
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
    bulk_efficiency: float = 0.71
    """Bulk reading end to end against decoding and engine alone: bench/bulk.py's figure."""
    gpu_samples_s: float = 20_000.0
    """Samples a second that one GPU trains on."""
    gpu_node_cores: int = 8
    """Cores of a GPU node, which decode for it."""
    execution_s: float = 1.3
    """Seconds until an execution of Ray Data does its first work."""
    list_wait_s: float = 0.1
    """Seconds that S3 takes for a page of 1,000 keys."""
    picture_wait_s: float = 0.05
    """Seconds that S3 takes for the HEAD and the GET of a picture, one after the other."""
    prefixes: int = 16
    """Prefixes over which the keys are spread evenly, so that S3 serves each by itself."""
    prefix_requests_s: float = 5500.0
    """HEAD and GET requests a second that S3 answers for each of them, as AWS documents it."""
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
    """A sum of powers of the size, through measured points."""

    terms: tuple[tuple[int, float], ...]
    """(exponent, coefficient)."""
    error: float
    """How far the fit through all points but the largest is from that one, as a share of it."""

    def at(self, size: float) -> float:
        """The value for this size."""
        return _sum(self.terms, size)


WORK = (1, 2)
"""Exponents of a time: an amount for each entry, which grows with their number."""
SPACE = (0, 1)
"""Exponents of an amount of memory or disk: a fixed part, and an amount for each entry."""


def fitted(points: Mapping[int, float], exponents: Sequence[int] = WORK) -> Fit:
    """The fit through at least three (size, value), by least squares of relative errors; no
    coefficient is below 0."""
    if len(points) < 3:
        raise ValueError(f"there are {len(points)} points; expected at least 3 to fit and to check")
    largest = max(points)
    rest = {size: value for size, value in points.items() if size != largest}
    guess = _sum(_coefficients(rest, exponents), largest)
    return Fit(
        terms=_coefficients(points, exponents),
        error=abs(guess - points[largest]) / points[largest],
    )


def bulk_requests(pictures: int, store: Figures, chunk_rows: int = CHUNK_ROWS) -> dict[str, int]:
    """Requests of a bulk job over objects of a bucket, by kind."""
    chunks = ceil(pictures / chunk_rows)
    plans = ceil(chunks / MOST_PLAN_CHUNKS)
    each = {name: count / store["chunks"] for name, count in store.items() if "results" in name}
    plan = 1  # a HEAD and a GET of a chunk's row group in its plan
    return {
        "LIST": ceil(pictures / 1000) + 2 * ceil(chunks / 1000),
        "HEAD": pictures + round(chunks * (each["report HEAD results"] + plan)),
        "GET": pictures + round(chunks * (each["report GET results"] + plan)),
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
    pictures: int, nodes: int, jobs: int, measured: Figures, planning: Fit, assume: Assumptions
) -> dict[str, float]:
    """Pictures a second that each part of a bulk job can do, the slowest first.

    One of ``jobs`` alike that share the store and nothing else; pictures and nodes are its own.
    """
    core = assume.core
    cores = nodes * assume.node_cores
    picture_s = measured["decode_s"] + measured["engine_s"] + measured["write_s"]
    core_rate = core * assume.bulk_efficiency / picture_s
    window_s = window_seconds(
        cores, CHUNK_ROWS / core_rate, measured["task_s"] / core, assume.execution_s
    )
    plan_s = planning.at(pictures) / pictures / core
    key_s = measured["bucket_key_s"] / core + assume.list_wait_s / 1000
    rates = {
        CORES: cores * core_rate,
        "tasks of a window": WINDOW_CHUNKS * CHUNK_ROWS / window_s,
        "fetching": cores * REMOTE_THREADS / assume.picture_wait_s,
        "S3": assume.prefixes * assume.prefix_requests_s / REQUESTS / jobs,
        BUCKET: 1 / (key_s + plan_s),
        LIST: 1 / (measured["list_row_s"] / core + plan_s),
    }
    return dict(sorted(rates.items(), key=lambda entry: entry[1]))


REQUESTS = 2
"""A picture's: HEAD and GET, as ``scale_store.requests`` counts them."""
CORES, BUCKET, LIST = "cores", "listing and planning", "planning"
"""What may bound a bulk job; of the last two, the first of a bucket, the second of a list."""


def stream_rates(
    gpus: int,
    measured: Figures,
    driver: Figures,
    assume: Assumptions,
    batch_pixels: int = READY_BATCH_PIXELS,
) -> dict[str, float]:
    """Samples a second that each part of training can do, one GPU a node, the slowest first.

    ``driver``: what ``scale_driver.stream`` says of a set of that size.
    """
    core = assume.core
    block = BLOCK_BATCHES * batch_pixels / measured["ready_bytes"]
    rates = {
        "GPUs": gpus * assume.gpu_samples_s,
        "the nodes' cores": gpus * assume.gpu_node_cores * core / assembled_s(measured, driver),
        "blocks": block * core / measured["block_s"],
        "tasks": STREAM_ROWS * core / measured["task_s"],
    }
    return dict(sorted(rates.items(), key=lambda entry: entry[1]))


def assembled_s(measured: Figures, driver: Figures) -> float:
    """CPU seconds for which a sample occupies data tasks."""
    return measured["assemble_s"] + driver["config_open_s"] / STREAM_ROWS


def waiting_s(samples: int, driver: Figures, assume: Assumptions) -> float:
    """Seconds of an epoch in which all ranks wait for the next execution of the stream."""
    turns = ceil(samples / (MAX_CHUNKS * STREAM_ROWS))
    return turns * (assume.execution_s + driver["turn_s"] / assume.core)


def _sum(terms: Sequence[tuple[int, float]], size: float) -> float:
    return sum(factor * size**exponent for exponent, factor in terms)


def _coefficients(
    points: Mapping[int, float], exponents: Sequence[int]
) -> tuple[tuple[int, float], ...]:
    """Each exponent's; one that would be below 0 is left out."""
    sizes = np.array(sorted(points), dtype=float)
    values = np.array([points[int(size)] for size in sizes])
    columns = np.stack([sizes**exponent / values for exponent in exponents], axis=1)
    found, *_ = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)
    if (found < 0).any():
        kept = [exponent for exponent, factor in zip(exponents, found, strict=True) if factor >= 0]
        return _coefficients(points, kept)
    return tuple((int(e), float(f)) for e, f in zip(exponents, found, strict=True))
