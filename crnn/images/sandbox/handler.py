"""A picture pool's thread for one process: keeps it alive and busy, finds out what killed it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from crnn.errors import PictureError, WorkersLostError
from crnn.images.contract import PictureContract
from crnn.images.sandbox.child import Child, ChildLostError, Ending
from crnn.images.sandbox.process import FileLimits
from crnn.images.sandbox.wire import Started, answers
from crnn.images.sandbox.work import BATCH_BYTES, BATCH_FILES, PoolWork, Task

FAILED_STARTS = 5
"""After this many processes in a row that died before they were ready, no more are started."""
FIRST_PAUSE_S = 0.025
"""Doubled after each failed start: memory or processes may be short for a moment only."""
START_TIMEOUT_S = 60.0
TRIES = 2
"""Attempts for one file: once with others, once alone."""


class Handler:
    """A thread's work: keep one process alive and busy, and find out what killed it."""

    def __init__(self, work: PoolWork, contract: PictureContract, limits: FileLimits) -> None:
        self._work, self._contract, self._limits = work, contract, limits
        self._suspect: Task | None = None
        """The file that the last process died of, perhaps; the next one takes it alone."""

    def run(self) -> None:
        """Until the work is over."""
        try:
            while not self._work.is_over:
                child = self._start()
                if child is not None:
                    self._employ(child)
        except WorkersLostError as error:
            self._work.fail(error)
        except BaseException as error:
            self._work.fail(WorkersLostError(f"a picture pool's thread failed: {error!r}"))
            raise

    def _start(self) -> Child | None:
        """A process that is ready; None when the work is over."""
        story = ""
        for failed in range(FAILED_STARTS):
            if failed:
                self._work.pause(FIRST_PAUSE_S * 2**failed)
            if self._work.is_over:
                return None
            try:
                child = Child(self._contract, self._limits)
            except OSError as error:
                story = str(error)
                continue
            self._work.adopt(child)
            try:
                _await_ready(child)
                return child
            except ChildLostError as lost:
                story = f"{lost}; {self._end(child)}"
        if self._work.is_over:
            return None
        raise WorkersLostError(
            f"{FAILED_STARTS} decoding processes in a row died before they were ready; the last: "
            f"{story}. Check that this machine has memory and processes to spare"
        )

    def _end(self, child: Child) -> Ending:
        ending = child.end()
        self._work.disown(child)
        return ending

    def _employ(self, child: Child) -> None:
        """Keep ``child`` busy until it ends, then settle what becomes of its files."""
        shift = _Shift(child)
        lost = ""
        try:
            while not self._work.is_over:
                self._hand_out(shift)
                if not shift.sent:
                    continue
                if self._work.wait_for_room():
                    child.excuse()
                done = shift.exchange(self._limits.timeout_s)
                self._work.finish(done)
                if self._suspect in done:
                    self._suspect = None
                if shift.is_stuck(self._limits.timeout_s):
                    break
        except ChildLostError as error:
            lost = str(error)
        ending = self._end(child)
        if not self._work.is_over:
            self._settle(shift, ending, lost)

    def _hand_out(self, shift: _Shift) -> None:
        """A suspect alone; else one message more than the process works on, so it never waits."""
        if self._suspect is not None and self._suspect.abandoned and not shift.sent:
            self._suspect = None
        if self._suspect is not None:
            if not shift.sent:
                shift.send([self._suspect])
        elif shift.has_room():
            shift.send(self._work.take(wait=not shift.sent))

    def _settle(self, shift: _Shift, ending: Ending, lost: str) -> None:
        """Try the file that was in hand again, alone, or give it up; the others as if nothing."""
        blamed = shift.blamed(ending)
        self._suspect = None
        self._work.give_back([task for task in shift.sent if task is not blamed])
        if blamed is None:
            return
        blamed.failures += 1
        if blamed.failures < TRIES:
            self._suspect = blamed
            return
        if lost:
            error = PictureError("decoder_died", f"decoding ended its process twice: {ending}")
        else:
            error = PictureError(
                "decoder_timeout",
                f"not decoded within {self._limits.timeout_s:g} s, in {TRIES} tries",
            )
        blamed.fail(error)
        self._work.finish([blamed])


class _Shift:
    """One process's files: sent and not yet done, in order."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._num_done = 0
        self._has_answered = False
        self.sent: deque[Task] = deque()

    def has_room(self) -> bool:
        num_bytes = sum(len(task.data) for task in self.sent)
        return len(self.sent) < BATCH_FILES and num_bytes < BATCH_BYTES

    def send(self, tasks: Sequence[Task]) -> None:
        if tasks:
            self._child.send([task.request() for task in tasks], idle=not self.sent)
            self.sent.extend(tasks)

    def is_stuck(self, timeout_s: float) -> bool:
        return bool(self.sent) and self._child.quiet_s() > timeout_s

    def exchange(self, timeout_s: float) -> list[Task]:
        """Wait until something happens or the time is up; the files that are done by then."""
        done = []
        for reply in self._child.exchange(timeout_s - self._child.quiet_s()):
            if isinstance(reply, Started) or not self.sent:
                raise ChildLostError("it answered a request that was not sent")
            task = self.sent[0]
            if not answers(reply, task.parts[len(task.results)]):
                raise ChildLostError("it answered something that was not asked for")
            self._has_answered = True
            task.results.append(reply)
            if task.is_done():
                done.append(self.sent.popleft())
        self._num_done += len(done)
        return done

    def blamed(self, ending: Ending) -> Task | None:
        """The file in hand when the process ended, if any.

        A process that ends before it did anything is put down to the first file.
        """
        taken_up = self._child.taken_up()
        did_well = self._has_answered and (ending.by_itself or taken_up is None)
        if not self.sent or did_well:
            return None
        place = 0 if taken_up is None else taken_up - self._num_done - 1
        return self.sent[min(max(place, 0), len(self.sent) - 1)]


def _await_ready(child: Child) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while (left_s := deadline - time.monotonic()) > 0:
        for reply in child.exchange(left_s):
            if isinstance(reply, Started):
                return
            raise ChildLostError("it answered before it was asked")
    raise ChildLostError(f"it wasn't ready within {START_TIMEOUT_S:g} s")
