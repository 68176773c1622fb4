"""What an online recognizer reports to a counter: a few calls a batch, from its threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crnn.result import Result


class Pass(NamedTuple):
    """One pass of the engine."""

    bucket_width: int
    """Of its pictures, px."""
    pictures: int
    decode_s: float
    """From being taken in to being decoded: the longest of them."""
    queue_s: float
    """From being decoded to being taken into the batch: the longest of them."""
    engine_s: float
    """What the engine took for all of them."""


class Observer:
    """Called from engine threads, once a batch each; must be quick and safe among threads.

    What it raises is logged and changes nothing. This one counts nothing.
    """

    def batch(self, batch: Pass) -> None:
        """The engine has run."""

    def results(self, results: Sequence[Result]) -> None:
        """Pictures that are done, errors included."""
