"""Chunks of work, handed out while what there is to do is still being listed and written down."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

WINDOW_CHUNKS = 2048
"""Chunks in one execution of Ray Data, which takes milliseconds a chunk to start."""
_LOOK_S = 1.0


class Sized(Protocol):
    """A chunk of work with a number of rows."""

    @property
    def rows(self) -> int:
        """Inputs in it."""
        ...


Chunk = TypeVar("Chunk", bound=Sized)
Chunk_co = TypeVar("Chunk_co", bound=Sized, covariant=True)


class PlannedChunks(Protocol[Chunk_co]):
    """Chunks that were written down together."""

    def chunks(self) -> Sequence[Chunk_co]:
        """All of them, in order."""
        ...


class Agenda(Generic[Chunk]):
    """Chunks left from earlier runs, then those of new plans, made by a thread of its own."""

    def __init__(self, left: Sequence[Chunk], plans: Iterable[PlannedChunks[Chunk]]) -> None:
        self._waiting = list(left)
        self._rows = sum(chunk.rows for chunk in left)
        self._complete = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._fill, args=(plans,), daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """Inputs to read, as far as is known."""
        return self._rows

    @property
    def complete(self) -> bool:
        """Whether all inputs are listed, so that ``rows`` stays as it is."""
        return self._complete

    @property
    def over(self) -> bool:
        """Whether every chunk that there will ever be was taken."""
        with self._changed:
            return self._complete and not self._waiting

    def wait(self) -> bool:
        """Returns after a moment, or as soon as there is a chunk or no more to come.

        True when ``take`` has something to say.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._complete, timeout=_LOOK_S)
            return bool(self._waiting) or self._complete

    def take(self) -> list[Chunk]:
        """The next window, at once; empty when there is none yet, or never again.

        Raises:
            Exception: what ended the listing early, once everything planned is taken.
        """
        with self._changed:
            window, self._waiting = (
                self._waiting[:WINDOW_CHUNKS],
                self._waiting[WINDOW_CHUNKS:],
            )
            if not window and self._error is not None:
                raise self._error
            return window

    def _fill(self, plans: Iterable[PlannedChunks[Chunk]]) -> None:
        try:
            for plan in plans:
                self._add(plan.chunks())
        except Exception as error:
            self._error = error
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def _add(self, chunks: Sequence[Chunk]) -> None:
        with self._changed:
            self._waiting += chunks
            self._rows += sum(chunk.rows for chunk in chunks)
            self._changed.notify_all()
