"""``GET /metrics``: what all replicas counted, from the endpoints at which Ray's nodes export it.

Ray's own name and labels of a series (``ray_crnn_requests_total{SessionName=…}``) become ours.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.request import ProxyHandler, build_opener

import ray

from jobs.serving.metrics import KINDS, PREFIX, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_KEPT_LABELS = ("deployment", "replica", "application")
_TIMEOUT_S = 3.0
_FRESH_S = 1.0
_SAMPLE = re.compile(r"^ray_(crnn_\w+)\{(.*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_opener = build_opener(ProxyHandler({}))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scraper:
    """Collects at most once a second, however often it is asked."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._text, self._taken_s = "", -_FRESH_S

    async def text(self) -> str:
        """The exposition format of all replicas' counts."""
        async with self._lock:
            if time.monotonic() - self._taken_s >= _FRESH_S:
                self._text = await asyncio.to_thread(_collected)
                self._taken_s = time.monotonic()
            return self._text


def _collected() -> str:
    nodes = [node for node in ray.nodes() if node["Alive"] and node["MetricsExportPort"]]
    urls = [
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics" for node in nodes
    ]
    if not urls:
        return ""
    with ThreadPoolExecutor(min(len(urls), 16)) as pool:
        return exposition(pool.map(_get, urls))


def _get(url: str) -> str:
    """Empty for a node that doesn't answer: the others' counts are worth having."""
    try:
        with _opener.open(url, timeout=_TIMEOUT_S) as response:
            return str(response.read().decode("utf-8", errors="replace"))
    except OSError:
        return ""


def exposition(texts: Iterable[str]) -> str:
    """Our series in what Ray's nodes export, under our names, with help and types."""
    samples: Samples = defaultdict(float)
    for text in texts:
        for line in text.splitlines():
            if line.startswith(f"ray_{PREFIX}") and (found := _SAMPLE.match(line)):
                name, labels, value = found.groups()
                samples[name.removesuffix("_total"), _labels(labels)] += float(value)
    return "".join(block for kind in KINDS for block in _block(kind, samples))


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    ours = {label for kind in KINDS for label in kind.labels} | {"le", *_KEPT_LABELS}
    return tuple((name, value) for name, value in _LABEL.findall(text) if name in ours)


def _block(kind: Metric, samples: Samples) -> Iterable[str]:
    if kind.bounds is not None:
        yield from _histogram(kind, samples)
        return
    name = kind.name if kind.is_gauge else f"{kind.name}_total"
    found = [(labels, value) for (key, labels), value in samples.items() if key == kind.name]
    if found:
        type_ = "gauge" if kind.is_gauge else "counter"
        yield f"# HELP {name} {kind.help}\n# TYPE {name} {type_}\n"
        for labels, value in sorted(found):
            yield _line(name, labels, value)


def _histogram(kind: Metric, samples: Samples) -> Iterable[str]:
    """Buckets were counted apart; here each has those below it too, as the format wants."""
    assert kind.bounds is not None
    buckets: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(dict)
    for (key, labels), value in samples.items():
        if key == f"{kind.name}_bucket":
            rest = tuple(pair for pair in labels if pair[0] != "le")
            buckets[rest][dict(labels)["le"]] = value
    if buckets:
        yield f"# HELP {kind.name} {kind.help}\n# TYPE {kind.name} histogram\n"
    for labels, counts in sorted(buckets.items()):
        total = 0.0
        for bound in [*(f"{bound:g}" for bound in kind.bounds), "+Inf"]:
            total += counts.get(bound, 0.0)
            yield _line(f"{kind.name}_bucket", (*labels, ("le", bound)), total)
        yield _line(f"{kind.name}_sum", labels, samples.get((f"{kind.name}_sum", labels), 0.0))
        yield _line(f"{kind.name}_count", labels, total)


def _line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inner = ",".join(f'{key}="{text}"' for key, text in labels)
    return f"{name}{{{inner}}} {value:.17g}\n"
