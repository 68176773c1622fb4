"""Programs beside a measurement: started, waited for, and ended with all their processes."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.sides.turns import descendants

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def program(
    command: list[str], log: Path, ready: Callable[[], bool], **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs in the block, once it is ready; ended with all its processes."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )
    try:
        deadline_s = time.monotonic() + 300
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{command} isn't ready:\n{log.read_text()[-4000:]}")
            time.sleep(0.2)
        yield process
    finally:
        everyone = descendants(process.pid)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        for pid in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def says_ready(log: Path) -> Callable[[], bool]:
    return lambda: "ready;" in log.read_text()


def answers_at(port: int, path: str) -> Callable[[], bool]:
    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    return ready


def wait_until(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not all(ready() for _ in range(20)):  # an old HAProxy may live on for a moment
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"not ready within {seconds:g} s")
        time.sleep(0.2)
