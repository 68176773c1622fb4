"""A load of many callers on a service, each of whose answers is checked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from crnn.client import AsyncClient
from crnn.errors import ServiceError
from crnn.result import Result


@dataclass
class Load:
    """What came of it so far."""

    texts: Sequence[frozenset[str]]
    """For each picture the texts that are right."""
    read: int = 0
    wrong: list[tuple[int, Result]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def check(self, index: int, result: Result) -> None:
        if result.error_code is not None or result.text not in self.texts[index]:
            self.wrong.append((index, result))
        self.read += 1
        self.models[result.model] += 1


@contextmanager
def load(
    url: str,
    pictures: Sequence[bytes],
    texts: Sequence[frozenset[str]],
    *,
    callers: int = 8,
    retries: int = 0,
) -> Iterator[Load]:
    """Callers in a thread that ask one after another, until the block ends."""
    found = Load(texts)
    thread = threading.Thread(
        target=lambda: asyncio.run(_callers(found, url, pictures, callers, retries)), daemon=True
    )
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join(180)
        assert not thread.is_alive()


async def _callers(
    found: Load, url: str, pictures: Sequence[bytes], callers: int, retries: int
) -> None:
    async def one(number: int) -> None:
        async with AsyncClient(url, retries=retries, timeout_s=120) as client:
            turn = number
            while not found.over.is_set():
                index = turn % len(pictures)
                turn += callers
                try:
                    found.check(index, await client.read(pictures[index], chars=False))
                except ServiceError as error:
                    found.errors.append(str(error))

    await asyncio.gather(*map(one, range(callers)))


def until(happened: Callable[[], bool]) -> None:
    """Returns when it has happened; fails after minutes."""
    deadline = time.monotonic() + 240
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)
