"""What takes a request each, in order: read by several threads some ahead of what is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Condition
from typing import Generic, TypeVar

REMOTE_THREADS = 16
AHEAD_JOBS = 4 * REMOTE_THREADS
AHEAD_BYTES = 64 << 20
"""Of files that were read and wait to be taken, or are read and have a known size."""
_Given = TypeVar("_Given")


def ahead(jobs: Iterable[Callable[[], _Given]]) -> Iterator[_Given]:
    """What the jobs give, in order; see ``sized_ahead``. What isn't ``bytes`` has no size."""
    return sized_ahead(((0, job) for job in jobs), _size_of)


def sized_ahead(
    jobs: Iterable[tuple[int, Callable[[], _Given]]], size_of: Callable[[_Given], int]
) -> Iterator[_Given]:
    """What the jobs give, in order, run by threads some ahead of what is taken.

    Each comes with the bytes to expect, 0 where they aren't known. None is begun that would make
    it more than ``AHEAD_BYTES``, but the next to be taken: in memory there are at most these, and
    a file of unknown size for each thread.
    """
    running: deque[Future[_Given]] = deque()
    room = _Room(size_of)
    with ThreadPoolExecutor(REMOTE_THREADS) as threads:
        try:
            for number, (size, job) in enumerate(jobs):
                running.append(threads.submit(room.run, number, size, job))
                if len(running) > AHEAD_JOBS:
                    yield room.taken(running.popleft().result())
            while running:
                yield room.taken(running.popleft().result())
        finally:
            room.close()


class _Room(Generic[_Given]):
    """Lets jobs begin as far as there is room for what they give."""

    def __init__(self, size_of: Callable[[_Given], int]) -> None:
        self._changed = Condition()
        self._size_of = size_of
        self._bytes = self._next = 0
        """Bytes that wait or are expected, and number of the job whose outcome is taken next."""
        self._is_closed = False

    def run(self, number: int, expected: int, job: Callable[[], _Given]) -> _Given:
        """What the job gives, begun when there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_begin(number, expected))
            self._bytes += expected
        if self._is_closed:
            raise CancelledError
        given = job()
        with self._changed:
            self._bytes += self._size_of(given) - expected
            self._changed.notify_all()
        return given

    def taken(self, given: _Given) -> _Given:
        """The same; its room is free from now on."""
        with self._changed:
            self._bytes -= self._size_of(given)
            self._next += 1
            self._changed.notify_all()
        return given

    def close(self) -> None:
        """Nothing is begun from now on, and nothing waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _may_begin(self, number: int, expected: int) -> bool:
        return self._is_closed or self._bytes + expected <= AHEAD_BYTES or number == self._next


def _size_of(given: object) -> int:
    return len(given) if isinstance(given, bytes) else 0
