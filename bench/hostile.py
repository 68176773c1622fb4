"""Neighbours of hostile callers: how long a word takes while 64 requests of theirs are in flight.

    python bench/hostile.py              every kind, 64 requests of 8 pictures each at a time
    python bench/hostile.py PNG          those whose name has it

In this process, without HTTP: what is measured is who decodes what, and in which turn. The share of
the machine that the hostile work gets is the operator's. Prints the neighbours' times with nothing
else to do first; times mean nothing on a machine that has other work.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.bundle import load_bundle
from crnn.errors import DeadlineError, QueueFullError
from crnn.online import OnlineConfig, OnlineRecognizer
from crnn.shipped import default_bundle
from tests.crnn.hostile_pictures import (
    LEFT_TO_THE_SANDBOX,
    QUICK,
    with_endless_data,
    with_inflating_chunks,
)
from tests.jobs.serving.services import rendered

REQUESTS, PICTURES, NEIGHBOURS = 64, 8, 100
PAUSE_S, LIMIT_S = 0.05, 30.0
KINDS: dict[str, Callable[[], bytes]] = {
    **LEFT_TO_THE_SANDBOX,
    **QUICK,
    "a PNG of 50 texts of 7 MB": lambda: with_inflating_chunks(b"zTXt", 50, 7 << 20),
    "a PNG of endless data, 240 MB": lambda: with_endless_data(240 << 20),
}


async def neighbours(online: OnlineRecognizer, picture: bytes) -> list[float]:
    """Seconds that each of some callers with one word waited, in order of size."""
    times = []
    for _ in range(NEIGHBOURS):
        began_s = time.perf_counter()
        await online.read([picture], timeout_s=LIMIT_S)
        times.append(time.perf_counter() - began_s)
        await asyncio.sleep(PAUSE_S)
    return sorted(times)


async def hostile(online: OnlineRecognizer, picture: bytes, ended: asyncio.Event) -> None:
    while not ended.is_set():
        try:
            await online.read([picture] * PICTURES, timeout_s=LIMIT_S)
        except (QueueFullError, DeadlineError):
            await asyncio.sleep(PAUSE_S)


def shown(name: str, times: Sequence[float]) -> str:
    at = [times[int(share * (len(times) - 1))] * 1000 for share in (0.5, 0.99)]
    return f"{name:36s} p50 {at[0]:7.1f} ms, p99 {at[1]:7.1f} ms"


async def measured(wanted: str) -> None:
    word = rendered("INV:1013", "JPEG")
    online = OnlineRecognizer(load_bundle(default_bundle()), OnlineConfig())
    await asyncio.to_thread(online.warm_up)
    print(shown("nobody else", await neighbours(online, word)), flush=True)
    for name, make in KINDS.items():
        if wanted not in name:
            continue
        picture, ended = make(), asyncio.Event()
        callers = [asyncio.create_task(hostile(online, picture, ended)) for _ in range(REQUESTS)]
        await asyncio.sleep(1)
        print(shown(name, await neighbours(online, word)), flush=True)
        ended.set()
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    online.close()


if __name__ == "__main__":
    asyncio.run(measured(sys.argv[1] if len(sys.argv) > 1 else ""))
