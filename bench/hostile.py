"""Neighbours of hostile callers: how long a word takes while 64 requests of theirs are in flight.

    python bench/hostile.py              every kind, 64 requests of 8 pictures each at a time
    python bench/hostile.py PNG          those whose name has it
    python bench/hostile.py --http       the same through a service of its own

In this process, without HTTP: what is measured is who decodes what, and in which turn. With it,
everything from the proxy on, and hostile callers are a process of their own. The share of the
machine that the hostile work gets is the operator's. Prints the neighbours' times with nothing else
to do first; times mean nothing on a machine that has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.bundle.bundle import load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.errors import DeadlineError, QueueFullError
from crnn.online import OnlineConfig, OnlineRecognizer
from tests.crnn.hostile_pictures import (
    LEFT_TO_THE_SANDBOX,
    QUICK,
    encoded,
    rough,
    with_endless_data,
    with_inflating_chunks,
)
from tests.jobs.serving.services import files, ready, rendered

REQUESTS, PICTURES, NEIGHBOURS = 64, 8, 100
PAUSE_S, LIMIT_S = 0.05, 30.0
KINDS: dict[str, Callable[[], bytes]] = {
    **LEFT_TO_THE_SANDBOX,
    **{
        f"a {kind} of noise": partial(lambda kind: encoded(rough("RGB"), kind), kind)
        for kind in ("GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
    },
    **QUICK,
    "a PNG of 50 texts of 7 MB": lambda: with_inflating_chunks(b"zTXt", 50, 7 << 20),
    "a PNG of endless data, 240 MB": lambda: with_endless_data(240 << 20),
}
Read = Callable[[list[bytes]], Awaitable[object]]
"""Has pictures read, or raises one of ``REFUSALS``."""
Attack = Callable[[bytes], AbstractAsyncContextManager[None]]
"""Has a picture read by hostile callers meanwhile."""


class RefusedError(Exception):
    """Another answer than 200."""


REFUSALS = (QueueFullError, DeadlineError, RefusedError, httpx.TransportError)


async def neighbours(read: Read, picture: bytes) -> tuple[list[float], Counter[str]]:
    """Seconds that each of some callers with one word waited, in order of size; and those who
    weren't answered, by why."""
    times: list[float] = []
    unanswered: Counter[str] = Counter()
    for _ in range(NEIGHBOURS):
        began_s = time.perf_counter()
        try:
            await read([picture])
        except REFUSALS as error:
            unanswered[f"{type(error).__name__} {error}"] += 1
        times.append(time.perf_counter() - began_s)
        await asyncio.sleep(PAUSE_S)
    return sorted(times), unanswered


async def hostile(read: Read, picture: bytes) -> None:
    """One caller of many, until it is cancelled."""
    while True:
        try:
            await read([picture] * PICTURES)
        except REFUSALS:
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def beside(read: Read, picture: bytes) -> AsyncIterator[None]:
    """While hostile callers have this picture read."""
    callers = [asyncio.create_task(hostile(read, picture)) for _ in range(REQUESTS)]
    await asyncio.sleep(1)
    yield
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


def shown(name: str, times: Sequence[float], unanswered: Counter[str]) -> str:
    at = [times[int(share * (len(times) - 1))] * 1000 for share in (0.5, 0.99)]
    failed = f", unanswered: {dict(unanswered)}" if unanswered else ""
    return f"{name:36s} p50 {at[0]:7.1f} ms, p99 {at[1]:7.1f} ms{failed}"


async def measured(wanted: str, read: Read, attack: Attack) -> None:
    word = rendered("INV:1013", "JPEG")
    print(shown("nobody else", *await neighbours(read, word)), flush=True)
    for name, make in KINDS.items():
        if wanted in name:
            async with attack(make()):
                print(shown(name, *await neighbours(read, word)), flush=True)


async def in_this_process(wanted: str) -> None:
    online = OnlineRecognizer(load_bundle(default_bundle()), OnlineConfig())
    await asyncio.to_thread(online.warm_up)
    read = partial(online.read, timeout_s=LIMIT_S)
    await measured(wanted, read, partial(beside, read))
    online.close()


@asynccontextmanager
async def reading_over_http(url: str) -> AsyncIterator[Read]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=LIMIT_S, limits=limits) as client:

        async def read(pictures: list[bytes]) -> None:
            answer = await client.post("/v1/recognize", files=files(pictures))
            if answer.status_code != httpx.codes.OK:
                raise RefusedError(answer.status_code)

        yield read


async def _attack(url: str, picture: bytes, begun: Event) -> None:
    async with reading_over_http(url) as read, beside(read, picture):
        begun.set()
        await asyncio.Event().wait()


def attack_over_http(url: str, picture: bytes, begun: Event) -> None:
    """Hostile callers for ever: what a process of theirs runs."""
    asyncio.run(_attack(url, picture, begun))


@asynccontextmanager
async def beside_over_http(url: str, picture: bytes) -> AsyncIterator[None]:
    """The same in a process of their own, so that neighbours wait for the service alone."""
    processes = get_context("spawn")
    begun = processes.Event()
    theirs = processes.Process(target=attack_over_http, args=(url, picture, begun), daemon=True)
    theirs.start()
    try:
        await asyncio.to_thread(begun.wait)
        yield
    finally:
        theirs.kill()
        theirs.join()


async def over_http(wanted: str, url: str) -> None:
    async with reading_over_http(url) as read:
        await measured(wanted, read, partial(beside_over_http, url))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", nargs="?", default="", help="part of the kinds' names")
    parser.add_argument("--http", action="store_true", help="through a service of its own")
    options = parser.parse_args()
    if not options.http:
        asyncio.run(in_this_process(options.kind))
        return
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder)) as service:
        asyncio.run(over_http(options.kind, service.url))


if __name__ == "__main__":
    main()
