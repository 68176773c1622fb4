"""A small online recognizer with its event loop, and what its answers must equal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from crnn import Bundle, Recognizer, Result
from crnn.inference.doubt import Then
from crnn.online import Observer, OnlineConfig, OnlineRecognizer
from tests.crnn.networks import bundle_of, sharp_model

BUNDLE = bundle_of(sharp_model())
CONFIG = OnlineConfig(batch_pixels=4 * 32 * 64, engine="torch", engine_threads=1)
"""Batches of two to eight pictures."""
OFFLINE = Recognizer(BUNDLE, engine="torch")
T = TypeVar("T")


class Running:
    """An online recognizer and the loop that its calls run in, for tests that are no coroutines."""

    def __init__(
        self,
        config: OnlineConfig,
        observer: Observer | None = None,
        bundle: Bundle = BUNDLE,
        then: Then | None = None,
    ) -> None:
        self._runner = asyncio.Runner()
        self.online = OnlineRecognizer(bundle, config, observer, then)

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(doing)

    def end(self) -> None:
        self.run(self.online.aclose())
        self._runner.close()


@contextlib.contextmanager
def running(
    config: OnlineConfig = CONFIG,
    observer: Observer | None = None,
    bundle: Bundle = BUNDLE,
    then: Then | None = None,
) -> Iterator[Running]:
    one = Running(config, observer, bundle, then)
    try:
        yield one
    finally:
        one.end()


@contextlib.contextmanager
def held_up(online: OnlineRecognizer) -> Iterator[None]:
    """Nothing is decoded in the block: the processes are stopped, once they have started."""
    online.warm_up()
    stopped = online.process_ids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile
                os.kill(pid, signal.SIGCONT)


async def until(happened: Callable[[], object]) -> None:
    for _ in range(3_000):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it didn't happen")


def check_same(found: Sequence[Result], expected: Sequence[Result]) -> None:
    """All of a result but the last digits of its probabilities."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.text, ours.squeezed, ours.turned, ours.model) == (
            theirs.text, theirs.squeezed, theirs.turned, theirs.model,
        )  # fmt: skip
        assert (ours.error_code, ours.error_message) == (theirs.error_code, theirs.error_message)
        assert abs(ours.confidence - theirs.confidence) < 1e-3
        assert len(ours.chars) == len(theirs.chars)
        for char, other in zip(ours.chars, theirs.chars, strict=True):
            assert (char.char, char.x0, char.x1) == (other.char, other.x0, other.x1)
            assert abs(char.probability - other.probability) < 1e-3
