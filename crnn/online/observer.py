"""What an online recognizer reports to a counter: a few calls a batch, from its threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crnn.result import Result


class Observer(Protocol):
    """Called from engine threads, once a batch each; must be quick and safe among threads.

    What it raises is logged and changes nothing.
    """

    def batch(
        self, *, bucket_width: int, pictures: int, decode_s: float, queue_s: float, engine_s: float
    ) -> None:
        """One pass of the engine.

        Args:
            bucket_width: of its pictures, px.
            pictures: how many.
            decode_s: from being taken in to being decoded: the longest of them.
            queue_s: from being decoded to being taken into the batch: the longest of them.
            engine_s: that the engine took for all of them.
        """

    def results(self, results: Sequence[Result]) -> None:
        """Pictures that are done, errors included."""


class Unobserved:
    """Counts nothing."""

    def batch(
        self, *, bucket_width: int, pictures: int, decode_s: float, queue_s: float, engine_s: float
    ) -> None:
        """Nothing."""

    def results(self, results: Sequence[Result]) -> None:
        """Nothing."""
