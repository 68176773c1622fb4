"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(happened: Callable[[], object]) -> None:
    for _ in range(18_000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it didn't happen")
