"""What decodes slowly takes turns too: one task after the other, the first turn first."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crnn.online import Observer, Pass
from crnn.online.turns import InTurn
from tests.crnn.online.callers import CONFIG, OFFLINE, running
from tests.crnn.online.test_reading import PICTURES

MOST = 20


class Held:
    """A thread with a task that lasts until ``let_go``, so that others gather behind it."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.thread = InTurn("held", self.failures.append, MOST)
        self._begun, self._may_end = threading.Event(), threading.Event()
        self.thread.submit(0, self._hold)
        assert self._begun.wait(60)

    def _hold(self) -> None:
        self._begun.set()
        assert self._may_end.wait(60)

    def let_go(self) -> None:
        self._may_end.set()

    def all_done(self) -> None:
        done = threading.Event()
        self.thread.submit(10**9, done.set)
        assert done.wait(60)


@given(st.lists(st.integers(0, 20), max_size=MOST))
def test_the_first_turn_is_first_and_one_turn_in_order(turns: list[int]) -> None:
    held, done = Held(), list[tuple[int, int]]()
    for number, turn in enumerate(turns):
        held.thread.submit(turn, partial(done.append, (turn, number)))
    held.let_go()
    held.all_done()
    assert done == sorted(done)
    assert len(done) == len(turns)
    held.thread.close()


def test_an_error_is_told_and_the_next_task_done() -> None:
    held, error = Held(), OSError("broken")
    held.let_go()

    def fail() -> None:
        raise error

    held.thread.submit(1, fail)
    held.all_done()
    assert held.failures == [error]
    held.thread.close()


def test_what_has_not_begun_when_it_closes_is_left() -> None:
    held, done = Held(), list[int]()
    held.thread.submit(1, partial(done.append, 1))
    closing = threading.Thread(target=held.thread.close)
    closing.start()
    while held.thread._tasks.queue[0][0] >= 0:  # until the end is asked for
        time.sleep(0.001)
    held.let_go()
    closing.join(60)
    assert not closing.is_alive()
    assert not done


def test_more_than_may_wait_is_not_taken_in() -> None:
    held, done = Held(), list[int]()
    for number in range(MOST):
        held.thread.submit(1, partial(done.append, number))
    began = threading.Event()

    def one_more() -> None:
        began.set()
        held.thread.submit(1, partial(done.append, MOST))

    caller = threading.Thread(target=one_more)
    caller.start()
    assert began.wait(60)
    assert held.thread._tasks.qsize() == MOST
    assert caller.is_alive()
    held.let_go()
    caller.join(60)
    held.all_done()
    assert done == list(range(MOST + 1))
    held.thread.close()


class Counting(Observer):
    """How many pictures the engine has read, decoded or not."""

    pictures = 0

    def batch(self, batch: Pass) -> None:
        self.pictures += batch.pictures

    def results(self, results: Any) -> None: ...


def test_one_picture_does_not_wait_until_all_of_a_large_request_are_decoded() -> None:
    """All were read by the engine when the decoder began."""
    may_decode, beam, engine = threading.Event(), OFFLINE.decoder("beam"), Counting()

    def slow(*args: Any, **options: Any) -> Any:
        assert may_decode.wait(60)
        return beam(*args, **options)

    async def read() -> list[str]:
        answered: list[str] = []

        async def caller(name: str, pictures: list[bytes]) -> None:
            await one.online.read(pictures, timeout_s=60, decoder=slow)
            answered.append(name)

        large = asyncio.create_task(caller("large", [PICTURES[5]] * 8))
        while engine.pictures < 8:
            await asyncio.sleep(0.01)
        small = asyncio.create_task(caller("small", [PICTURES[5]]))
        while engine.pictures < 9:
            await asyncio.sleep(0.01)
        may_decode.set()
        await asyncio.gather(large, small)
        return answered

    with running(CONFIG, engine) as one:
        assert one.run(read()) == ["small", "large"]
