"""A thread that does one thing after the other, that whose turn is first before the others."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from queue import PriorityQueue

Task = Callable[[], None]
_END = -1


class InTurn:
    """Does what any thread gives it, in a thread of its own."""

    def __init__(self, name: str, fail: Callable[[Exception], None], most: int = 8) -> None:
        """Start it.

        Args:
            name: of the thread.
            fail: told of an error that a task raised, after which it goes on.
            most: tasks that may wait: each holds memory, and what waits elsewhere can be called
                off.
        """
        self._fail = fail
        self._room = threading.Semaphore(most)
        self._numbers = itertools.count()
        self._tasks: PriorityQueue[tuple[int, int, Task]] = PriorityQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, turn: int, task: Task) -> None:
        """Have it done after all that have an earlier ``turn``, from 0 on, and are there by then.

        Those of one turn are done in the order in which they came. Waits until there is room.
        """
        self._room.acquire()
        self._tasks.put((turn, next(self._numbers), task))

    def close(self) -> None:
        """Ends after the task that is being done; the others are left."""
        self._tasks.put((_END, _END, lambda: None))
        self._thread.join()

    def _run(self) -> None:
        while True:
            turn, _, task = self._tasks.get()
            if turn == _END:
                return
            self._room.release()
            try:
                task()
            except Exception as error:
                self._fail(error)
            del task  # it may hold pictures, and the next may be long in coming
