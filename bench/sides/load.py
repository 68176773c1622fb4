"""A light HTTP load: prebuilt requests over kept-alive connections, in a process of its own.

    python bench/sides/load.py --url http://127.0.0.1:8000/v1/recognize --requests FILE

Each connection sends its next request when it has its last answer. Prints one line of JSON: how
many, how long, latencies, and the first answer to each request. ``drive`` runs it from a program.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

_LENGTH = struct.Struct("<I")
_BOUNDARY = b"a-boundary-of-this-benchmark"


@dataclass(frozen=True)
class Load:
    """What came of one load."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """CPU time of the load's own process per request."""
    answers: list[dict[str, Any]]
    """The first one to each of the distinct requests that was sent, by ``request``."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def multipart(pictures: Sequence[bytes]) -> bytes:
    """The body of a form with these files."""
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="files"; filename="%d.png"\r\n'
        b"Content-Type: image/png\r\n\r\n%s\r\n" % (_BOUNDARY, number, data)
        for number, data in enumerate(pictures)
    ]
    return b"".join([*parts, b"--%s--\r\n" % _BOUNDARY])


def write_requests(bodies: Sequence[bytes], path: Path) -> Path:
    """The file that ``--requests`` takes."""
    path.write_bytes(b"".join(_LENGTH.pack(len(body)) + body for body in bodies))
    return path


def drive(url: str, requests: Path, *, connections: int, seconds: float, warm_up_s: float) -> Load:
    """The load from a process of its own; raises RuntimeError for anything but 200."""
    command = [sys.executable, __file__, "--url", url, "--requests", str(requests)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    command += ["--warm-up", str(warm_up_s)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the load on {url} failed:\n{done.stderr[-2000:]}")
    return Load(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """Sends one request after the other, beginning at ``number``."""

    def __init__(self, load: _Running, number: int) -> None:
        self._load, self._number = load, number
        self._received = bytearray()
        self._expected = 0
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._expected:
            self._expected = _length(self._received)
        if self._expected and len(self._received) >= self._expected:
            self._load.answered(self._number, bytes(self._received), self._sent_s)
            self._received.clear()
            self._expected = 0
            self._number = (self._number + 1) % len(self._load.requests)
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(error)

    def _send(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(self._load.requests[self._number])


def _length(received: bytearray) -> int:
    """Of the whole answer; 0 while its head isn't there."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(received[:end]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError(f"an answer without Content-Length: {head!r}")
    return end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])


class _Running:
    """All connections of one load."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = requests
        self._latencies_s: list[float] = []
        self._statuses: Counter[bytes] = Counter()
        self._first: dict[int, bytes] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, number: int, answer: bytes, sent_s: float) -> None:
        self._latencies_s.append(time.perf_counter() - sent_s)
        self._statuses[answer[9:12]] += 1
        if number not in self._first:
            self._first[number] = answer

    def lost(self, error: Exception | None) -> None:
        if not self._failed.done():
            self._failed.set_exception(ConnectionError(f"a connection ended: {error}"))

    async def run(self, host: str, port: int, options: argparse.Namespace) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        for number in range(options.connections):
            first = number * len(self.requests) // options.connections
            await loop.create_connection(partial(_Connection, self, first), host, port)
        await self._pass(options.warm_up)
        self._latencies_s.clear()
        began_s, began_cpu_s = time.perf_counter(), _cpu_s()
        await self._pass(options.seconds)
        seconds, cpu_s = time.perf_counter() - began_s, _cpu_s() - began_cpu_s
        if set(self._statuses) != {b"200"}:
            raise ValueError(f"answers other than 200: {dict(self._statuses)}")
        latencies_s = sorted(self._latencies_s)
        return {
            "requests": len(latencies_s),
            "seconds": seconds,
            "p50_ms": latencies_s[len(latencies_s) // 2] * 1e3,
            "p99_ms": latencies_s[len(latencies_s) * 99 // 100] * 1e3,
            "cpu_ms": cpu_s * 1e3 / len(latencies_s),
            "answers": [
                {"request": number, "body": answer.partition(b"\r\n\r\n")[2].decode()}
                for number, answer in self._first.items()
            ],
        }

    async def _pass(self, seconds: float) -> None:
        await asyncio.wait([self._failed], timeout=seconds)
        if self._failed.done():
            self._failed.result()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(options: argparse.Namespace) -> None:
    url = urlsplit(options.url)
    assert url.hostname
    packed, requests, at = options.requests.read_bytes(), [], 0
    while at < len(packed):
        (size,) = _LENGTH.unpack_from(packed, at)
        at += _LENGTH.size
        head = (
            f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {size}\r\n"
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY.decode()}\r\n\r\n"
        )
        requests.append(head.encode() + packed[at : at + size])
        at += size
    found = await _Running(requests).run(url.hostname, url.port or 80, options)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--requests", type=Path, required=True, help="as write_requests makes it")
    parser.add_argument("--connections", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="(%(default)s)")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds (%(default)s)")
    uvloop.run(main(parser.parse_args()))
