"""What a picture pool's callers and its handlers share: files on their way, processes that run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import numpy as np

from crnn.errors import PictureError, WorkersLostError
from crnn.images.sandbox.child import Child
from crnn.images.sandbox.wire import Answer, Cut, DecodeRequest, Part

BATCH_FILES = 64
BATCH_BYTES = 512 * 1024
"""Limits of a message: files, and roughly bytes; it has at least one file."""
WAITING_BYTES = 64 << 20
"""For each process: pixels as they are that wait to be taken. With more of them, and nobody who
waits for others, handlers pause, and so do their processes."""


class Task:
    """One file on its way: bytes, what is wanted of it, and results as they come."""

    def __init__(
        self, data: bytes | PictureError, parts: Sequence[Part], result_bytes: int
    ) -> None:
        self.parts = parts
        self.results: list[Answer] = []
        self.data = b""
        self.failures = 0
        self.abandoned = False
        """No caller waits for it any more."""
        self.awaited = False
        """Somebody waits for it right now."""
        self.promise: Future[list[Answer]] | None = None
        """Who handed it in alone gets its results here."""
        self.is_cut = any(isinstance(part, Cut) for part in parts)
        self.waiting_bytes = 0
        """Of its pixels, counted while they wait to be taken."""
        if isinstance(data, PictureError):
            self.fail(data)
        else:
            self.data = data
        self.held_bytes = len(self.data) + result_bytes

    def pixel_bytes(self) -> int:
        """Of pixels as they are among its results."""
        return sum(result.nbytes for result in self.results if isinstance(result, np.ndarray))

    def is_done(self) -> bool:
        """Whether every part has its result."""
        return len(self.results) == len(self.parts)

    def settle(self, prepared: Answer) -> None:
        """Give its only part this result."""
        self.results.append(prepared)
        self.data = b""

    def fail(self, error: PictureError) -> None:
        """Give the parts that have no result yet this one."""
        self.results += [error] * (len(self.parts) - len(self.results))

    def heed(self, promise: Future[list[Answer]]) -> None:
        """Nobody waits any more if the promise was cancelled; nor are its bytes wanted."""
        if promise.cancelled():
            self.abandoned = True
            self.data, self.promise = b"", None

    def keep_promise(self, error: Exception | None = None) -> None:
        """Give the results, or why there are none, to whom they were promised.

        Promise and task don't refer to each other any more then: with their pixels they would
        wait for a search for cycles.
        """
        promise, self.promise = self.promise, None
        if promise is None or not promise.set_running_or_notify_cancel():
            return
        if error is None:
            promise.set_result(self.results)
        else:
            promise.set_exception(error)

    def request(self) -> DecodeRequest:
        """What is left of it to do."""
        return DecodeRequest(data=self.data, parts=self.parts[len(self.results) :])


class PoolWork:
    """What callers and handlers share: files to do, processes that run, and whether to go on."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._lock = threading.RLock()
        self._submitted = threading.Condition(self._lock)
        self._finished = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._taken = threading.Condition(self._lock)
        self._waiting_bytes = self._callers = 0
        """Pixels that wait to be taken, and callers that wait for some."""
        self._pending: deque[Task] = deque()
        self._promised: set[Task] = set()
        self._children: set[Child] = set()
        self._failure: WorkersLostError | None = None
        self.is_over = False
        """Closed or failed: handlers end their processes and themselves."""

    def submit(self, task: Task) -> None:
        """Queue a file; raises what ``PicturePool.prepare`` does."""
        with self._lock:
            self._check()
            self._pending.append(task)
            if task.promise is not None:
                self._promised.add(task)
            self._submitted.notify()

    def give_back(self, tasks: Sequence[Task]) -> None:
        """Put files that were taken, and not done, before all others."""
        with self._lock:
            self._pending.extendleft(reversed(tasks))
            self._submitted.notify(len(tasks))

    def take(self, *, wait: bool) -> list[Task]:
        """Files for one message, a fair share of what there is; none when it is over."""
        with self._lock:
            if wait:
                self._submitted.wait_for(lambda: self._pending or self.is_over)
            share = -(-len(self._pending) // self._processes)
            taken: list[Task] = []
            num_bytes = 0
            while self._pending and len(taken) < min(share, BATCH_FILES):
                num_bytes += len(self._pending[0].data)
                if taken and num_bytes > BATCH_BYTES:
                    break
                task = self._pending.popleft()
                if task.abandoned:
                    self._promised.discard(task)
                else:
                    taken.append(task)
            return taken

    def wait_for(self, task: Task) -> None:
        """Return when ``task`` is done; raises what ``PicturePool.prepare`` does."""
        if task.is_done():
            return
        with self._lock:
            task.awaited = True
            self._callers += 1
            self._taken.notify_all()
            try:
                self._finished.wait_for(lambda: task.is_done() or self.is_over)
            finally:
                self._callers -= 1
            if not task.is_done():
                self._check()

    def let_go(self, tasks: Iterable[Task]) -> None:
        """What these have given is taken, or no longer wanted."""
        with self._lock:
            for task in tasks:
                task.abandoned = True
                self._waiting_bytes -= task.waiting_bytes
                task.waiting_bytes = 0
            self._taken.notify_all()

    def wait_for_room(self) -> bool:
        """Wait while enough pixels wait and no caller does; whether that took time."""
        with self._lock:
            if self._has_room():
                return False
            self._taken.wait_for(lambda: self.is_over or self._has_room())
            return True

    def _has_room(self) -> bool:
        return self._callers > 0 or self._waiting_bytes <= WAITING_BYTES * self._processes

    def finish(self, tasks: Sequence[Task]) -> None:
        """Let their callers know of files that are done."""
        for task in tasks:
            task.data = b""
        with self._lock:
            for task in tasks:
                if task.is_cut and not task.abandoned and task.promise is None:
                    task.waiting_bytes = task.pixel_bytes()
                    self._waiting_bytes += task.waiting_bytes
            if any(task.awaited for task in tasks):
                self._finished.notify_all()
            self._promised.difference_update(tasks)
        for task in tasks:
            task.keep_promise()

    def pause(self, seconds: float) -> None:
        """Wait so long, or until it is over."""
        with self._lock:
            self._ended.wait_for(lambda: self.is_over, timeout=seconds)

    def adopt(self, child: Child) -> None:
        """Count ``child`` among the processes that end with the work."""
        with self._lock:
            self._children.add(child)
            if self.is_over:
                child.kill()

    def disown(self, child: Child) -> None:
        """``child`` has ended."""
        with self._lock:
            self._children.discard(child)

    def process_ids(self) -> list[int]:
        """Ids of the running processes."""
        with self._lock:
            return [child.pid for child in self._children]

    def fail(self, error: WorkersLostError) -> None:
        """End everything; callers get ``error``."""
        with self._lock:
            self._failure = self._failure or error
            self.close()

    def close(self) -> None:
        """End everything, without waiting."""
        with self._lock:
            self.is_over = True
            for child in self._children:
                child.kill()
            for condition in (self._submitted, self._finished, self._ended, self._taken):
                condition.notify_all()
            broken, self._promised = self._promised, set()
            reason = self._reason()
        for task in broken:
            task.keep_promise(reason)

    def _check(self) -> None:
        if self._failure is not None or self.is_over:
            raise self._reason()

    def _reason(self) -> Exception:
        """Why nothing is done any more."""
        return self._failure or ValueError("the picture pool is closed; make a new one")
