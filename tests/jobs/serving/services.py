"""The real service for tests: ``jobs/serve.py`` as a process of its own, over real HTTP."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.jobs.processes import Process, descendants
from tests.jobs.runs import PROJECT, environment

SERVE = PROJECT / "jobs" / "serve.py"
SHIPPED = PROJECT / "bundles" / "strings"
WORDS = ("7K-204", "INV:1013", "PO1999", "$8.50", "A1", "ROW-77", "0042", "X9/3", "€12,-", "Q")
_START_S = 300


@dataclass
class Service:
    """A service that runs, or has ended."""

    job: subprocess.Popen[bytes]
    url: str
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def wait_for(self, words: str) -> None:
        """Until the service has said so; fails when it ends first, or never says it."""
        deadline = time.monotonic() + _START_S
        while words not in self.log:
            assert self.job.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def stop(self) -> list[Process]:
        """Ctrl-C, and the end; what it had started and left running, which is nothing."""
        started = descendants(self.job.pid)
        if self.job.poll() is None:
            self.job.send_signal(signal.SIGINT)
        self.job.wait(180)
        deadline = time.monotonic() + 90
        while (left := [p for p in started if p.runs()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left


@contextmanager
def serving(
    folder: Path, *arguments: str, extra: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Service]:
    """A service from before it is ready to its end; its log is in ``folder``."""
    port = free_port()
    log_path = folder / "serve.log"
    command = [sys.executable, str(SERVE), "--port", str(port), *arguments]
    with log_path.open("wb") as log:
        job = subprocess.Popen(
            command, cwd=cwd or folder, env=environment(extra), stdout=log, stderr=log
        )
    service = Service(job, f"http://127.0.0.1:{port}", log_path)
    try:
        yield service
    finally:
        left = service.stop()
        for process in left:
            os.kill(process.pid, signal.SIGKILL)
    assert not left, left


@contextmanager
def ready(
    folder: Path, *arguments: str, extra: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """A service that is warmed up."""
    with serving(folder, *arguments, extra=extra) as service:
        service.wait_for("\nready;")
        yield service


def answer_to_endless_body(port: int, most: int = 64 << 20) -> tuple[bytes, int]:
    """What a request without a length gets that never ends; and the bytes sent until then."""
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        with contextlib.suppress(ConnectionError):  # it needn't read on once it has answered
            while sent < most and not select.select([connection], [], [], 0)[0]:
                connection.sendall(chunk)
                sent += len(chunk)
        return _whole_answer(connection), sent


def _whole_answer(connection: socket.socket) -> bytes:
    """Head and body, which may come one after the other; what there is where the end is cut off."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rendered(text: str, kind: str = "PNG", seed: int = 0) -> bytes:
    """A picture of a text in plain letters."""
    font = ImageFont.load_default(size=26)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 12, int(bottom - top) + 12), 235)
    ImageDraw.Draw(image).text((6 - left, 6 - top), text, fill=20, font=font)
    noise = np.random.default_rng(seed).integers(-12, 13, (image.height, image.width))
    pixels = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def word_pictures(count: int) -> list[bytes]:
    """Pictures of words of many widths, each unlike the others."""
    return [
        rendered(WORDS[i % len(WORDS)], ("PNG", "JPEG", "WEBP")[i % 3], seed=i)
        for i in range(count)
    ]


def files(pictures: list[bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """As httpx takes them."""
    return [
        ("files", (f"{i}.png", data, "application/octet-stream")) for i, data in enumerate(pictures)
    ]


def samples(text: str) -> dict[str, float]:
    """Series of a Prometheus exposition, summed over replicas: name{labels} without them."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            series = re.sub(r'(application|deployment|replica)="[^"]*",?', "", series)
            series = series.replace(",}", "}").removesuffix("{}")
            found[series] = found.get(series, 0.0) + float(value)
    return found
