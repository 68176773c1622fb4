"""Whether cores rest: seen of whole spans of time, and of no shorter ones."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from crnn.online.cores import Cores


def test_cores_rest_where_a_quarter_of_one_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, used = 100.0, 0.0
    monkeypatch.setattr("crnn.online.cores.time.monotonic", lambda: now_s)
    monkeypatch.setattr(psutil, "cpu_percent", lambda: used)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    rest = Cores()
    assert rest()
    used = 90.0
    now_s += 0.2
    assert rest()  # too soon to say
    now_s += 0.1
    assert not rest()
    used = 80.0
    now_s += 0.3
    assert rest()


def test_the_machine_is_asked() -> None:
    rest = Cores()
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(psutil.cpu_count() or 1)
    ]
    try:
        deadline_s = time.monotonic() + 30
        while rest():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    finally:
        for process in busy:
            process.kill()
            process.wait()
