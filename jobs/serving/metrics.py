"""What a replica counts, and how it reaches Prometheus: by way of Ray's metrics, once a second.

Counting is adding to a dictionary: a request takes part in some ten counts, and Ray's own calls
cost more than that. Histograms are counters by upper bound (``le``), as Prometheus has them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ray.serve import metrics as ray_metrics

from crnn.online import Observer, Pass
from crnn.result import Result

PREFIX = "crnn_"
FLUSH_S = 1.0
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] | None = None
    """Upper bounds of a histogram's buckets, ascending."""
    is_gauge: bool = False


REQUESTS = Metric(
    name="crnn_requests", help="Requests answered, by path and status.", labels=("path", "status")
)
REQUEST_S = Metric(
    name="crnn_request_seconds",
    help="Time from a request's headers to its answer, seconds.",
    labels=("path",),
    bounds=SECONDS,
)
PICTURES = Metric(
    name="crnn_pictures",
    help="Pictures answered, by outcome: read, or the error code.",
    labels=("outcome",),
)
READ_BY = Metric(
    name="crnn_pictures_read",
    help="Pictures read, by the digest of the bundle whose reading counts.",
    labels=("digest",),
)
OF_A_PASS = {
    "pictures": Metric(
        name="crnn_batch_pictures",
        help="Pictures in one engine pass.",
        bounds=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    ),
    "decode_s": Metric(
        name="crnn_decode_seconds",
        help="Longest decoding time of a picture in a batch, from its arrival, seconds.",
        bounds=SECONDS,
    ),
    "queue_s": Metric(
        name="crnn_queue_seconds",
        help="Longest wait of a decoded picture in a batch for the engine, seconds.",
        bounds=SECONDS,
    ),
    "engine_s": Metric(
        name="crnn_engine_seconds", help="Duration of one engine pass, seconds.", bounds=SECONDS
    ),
}
"""By the field of ``crnn.online.Pass``."""
CONFIDENCE = Metric(
    name="crnn_confidence",
    help="Confidence of a text: the calibrated probability that it is right.",
    bounds=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)
PAGES = Metric(
    name="crnn_pages",
    help="Whole pages answered, by outcome: read, or the error code.",
    labels=("outcome",),
)
PAGE_LINES = Metric(name="crnn_page_lines", help="Lines read on whole pages.")
PAGE_S = Metric(
    name="crnn_page_seconds",
    help="Time to open and read one page, seconds.",
    bounds=SECONDS,
)
PAGES_WAITING = Metric(
    name="crnn_pages_waiting", help="Pages accepted and not yet answered.", is_gauge=True
)
ROLLS = Metric(
    name="crnn_bundle_rolls",
    help="Bundles loaded into the running service, by outcome.",
    labels=("outcome",),
)
WAITING = Metric(
    name="crnn_pictures_waiting", help="Pictures accepted and not yet answered.", is_gauge=True
)
HELD = Metric(name="crnn_body_bytes", help="Bytes of request bodies being received.", is_gauge=True)
MODEL = Metric(
    name="crnn_model",
    help="1 for the bundle in use; for a cascade, for each of its two bundles.",
    labels=("name", "digest", "engine"),
    is_gauge=True,
)
KINDS = (
    REQUESTS, REQUEST_S, PICTURES, READ_BY, *OF_A_PASS.values(), CONFIDENCE, PAGES, PAGE_LINES,
    PAGE_S, PAGES_WAITING, ROLLS, WAITING, HELD, MODEL,
)  # fmt: skip


class MetricTally(Observer):
    """Counts since the last time that they were taken away. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = defaultdict(float)

    def add(self, kind: Metric, amount: float = 1, **labels: str) -> None:
        """Count ``amount`` more."""
        with self._lock:
            self._counts[kind.name, tuple(labels.items())] += amount

    def observe(self, kind: Metric, values: Iterable[float], **labels: str) -> None:
        """Put values into a histogram's buckets."""
        assert kind.bounds is not None
        items = tuple(labels.items())
        with self._lock:
            for value in values:
                place = bisect_left(kind.bounds, value)
                bound = f"{kind.bounds[place]:g}" if place < len(kind.bounds) else "+Inf"
                self._counts[f"{kind.name}_bucket", (*items, ("le", bound))] += 1
                self._counts[f"{kind.name}_sum", items] += value

    def request(self, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self.add(REQUESTS, path=path, status=str(status))
        self.observe(REQUEST_S, (seconds,), path=path)

    def batch(self, batch: Pass) -> None:
        """As ``crnn.online.Observer`` has it."""
        for name, kind in OF_A_PASS.items():
            self.observe(kind, (getattr(batch, name),))

    def results(self, results: Sequence[Result]) -> None:
        """As ``crnn.online.Observer`` has it."""
        read = [result for result in results if result.error_code is None]
        if read:
            self.add(PICTURES, len(read), outcome="read")
            self.observe(CONFIDENCE, [result.confidence for result in read])
            for digest, count in Counter(result.model for result in read).items():
                self.add(READ_BY, count, digest=digest)
        for result in results:
            if result.error_code is not None:
                self.add(PICTURES, outcome=result.error_code)

    def take(self) -> dict[tuple[str, Labels], float]:
        """What was counted, which is forgotten."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(float)
        return counts


class Publisher:
    """Hands a tally to Ray every second, from a thread. Only within a Serve replica."""

    def __init__(
        self, tally: MetricTally, gauges: Callable[[], Iterable[tuple[Metric, Labels, float]]]
    ):
        """``gauges`` gives the values of now."""
        self._tally, self._read_gauges = tally, gauges
        self._counters = {
            name: ray_metrics.Counter(name, kind.help, cast(Any, labels))  # says tuple of one
            for kind in KINDS
            if not kind.is_gauge
            for name, labels in _series(kind)
        }
        self._gauges = {
            kind.name: ray_metrics.Gauge(kind.name, kind.help, cast(Any, kind.labels))
            for kind in KINDS
            if kind.is_gauge
        }
        self._shown: dict[tuple[str, Labels], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand over what is left, and end."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        for (name, labels), amount in self._tally.take().items():
            if amount > 0:
                self._counters[name].inc(amount, tags=dict(labels))
        now = {(kind.name, labels): value for kind, labels, value in self._read_gauges()}
        for (name, labels), value in (dict.fromkeys(self._shown, 0.0) | now).items():
            self._gauges[name].set(value, tags=dict(labels))
        self._shown = now


def _series(kind: Metric) -> list[tuple[str, tuple[str, ...]]]:
    if kind.bounds is None:
        return [(kind.name, kind.labels)]
    return [(f"{kind.name}_bucket", (*kind.labels, "le")), (f"{kind.name}_sum", kind.labels)]
