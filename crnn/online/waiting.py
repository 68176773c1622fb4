"""The requests that wait for results, and the event loop that they wait in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from crnn.errors import DeadlineError, WorkersLostError
from crnn.online.engine_thread import Answer
from crnn.online.places import Places
from crnn.online.request import ReadRequest

_Argument = TypeVar("_Argument")


class Waiting:
    """Brings answers and failures from any thread to the requests, which belong to one loop."""

    def __init__(self, places: Places) -> None:
        """``places`` is told how many pictures were answered."""
        self._places = places
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requests: set[ReadRequest] = set()
        self.failure: WorkersLostError | None = None
        """Why nothing can be read any more, for good."""

    def check(self) -> None:
        """Before each request; the first call decides the loop.

        Raises:
            ValueError: in another event loop.
            WorkersLostError: when nothing can be read any more.
        """
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ValueError(
                "an online recognizer belongs to one event loop; make one for each loop"
            )
        if self.failure is not None:
            raise self.failure

    @contextlib.contextmanager
    def of(self, request: ReadRequest, timeout_s: float) -> Iterator[None]:
        """Within the block ``request.done`` comes, with DeadlineError after ``timeout_s``.

        However the block is left, the request is over then.
        """
        assert self._loop is not None
        self._requests.add(request)
        timer = self._loop.call_later(timeout_s, _expire, request, timeout_s)
        try:
            yield
        finally:
            timer.cancel()
            request.end()
            self._requests.discard(request)

    def deliver(self, answers: list[Answer]) -> None:
        """To their requests; from any thread."""
        self.call(self._settle, answers)

    def fail(self, error: WorkersLostError) -> None:
        """Every request, for good; from any thread."""
        self.failure = self.failure or error
        self.fail_all(error)

    def decoder_failed(self, error: Exception) -> None:
        """As ``fail``, for what decodes slowly: what it dropped would be waited for in vain."""
        self.fail(WorkersLostError(f"the decoder's thread failed: {error!r}"))

    def fail_all(self, error: Exception) -> None:
        """Every request that waits now; from any thread."""
        self.call(self._fail_all, error)

    def call(self, call: Callable[[_Argument], None], argument: _Argument) -> None:
        """In the loop, from any thread; without a loop there are no waiting callers."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # closed
                self._loop.call_soon_threadsafe(call, argument)

    def _settle(self, answers: list[Answer]) -> None:
        placed = sum(not entry.request.is_of_page for entry, _ in answers)
        if placed:
            self._places.answered(placed)
        for entry, answer in answers:
            if isinstance(answer, Exception):
                entry.request.fail(answer)
            else:
                entry.request.answer(entry.index, answer)

    def _fail_all(self, error: Exception) -> None:
        for request in self._requests:
            request.fail(error)


def _expire(request: ReadRequest, timeout_s: float) -> None:
    request.fail(
        DeadlineError(
            f"{request.num_pictures} pictures weren't read within {timeout_s:g} s; "
            "send fewer at a time, or allow more time"
        )
    )
