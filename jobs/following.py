"""A job that follows its input: what it prints, and how it is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.progress import LINE_EVERY_S, clock

if TYPE_CHECKING:
    from pipelines.recognition import Follow, Progress
    from pipelines.recognition.follow import Followed, Lag

_QUIET_S = 60.0
"""Where nothing happens, a line this often."""


@contextmanager
def stopped_by_signals(follow: Follow | None) -> Iterator[None]:
    """Within it the first Ctrl-C or SIGTERM stops ``follow``; the next one interrupts.

    Without ``follow`` nothing changes.
    """
    if follow is None:
        yield
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: object) -> None:
        for one in usual:
            signal.signal(one, signal.default_int_handler)
        print("stopping: finishing what is being read; once more to leave it", flush=True)
        follow.stop()

    for number in usual:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


class FollowLines:
    """A line of progress when something was read or went wrong, and now and then if not."""

    def __init__(self) -> None:
        self._next_s = self._quiet_s = 0.0
        self._said: tuple[int, int, str] | None = None

    def __call__(self, now: Progress, followed: Followed, each: str) -> None:
        """``each``: what else was counted, as text."""
        moment = time.monotonic()
        news = (now.done, now.total, followed.trouble)
        if moment < self._next_s or (news == self._said and moment < self._quiet_s):
            return
        self._next_s, self._quiet_s = moment + LINE_EVERY_S, moment + _QUIET_S
        self._said = news
        waiting = now.total - now.done
        lag = f", {_words(followed.lag)}" if followed.lag else ""
        print(
            f"following: {now.done:,} read{each}, {now.errors:,} errors, {waiting:,} waiting"
            f"{lag}; {followed.rounds:,} listings",
            flush=True,
        )
        if followed.trouble:
            print(
                f"note: the last listing failed and is tried again: {followed.trouble}", flush=True
            )


def lag_of(lag: Lag | None) -> str:
    """A line for the end; empty where nothing came."""
    return f"what came while it ran: {_words(lag)}\n" if lag else ""


def _words(lag: Lag) -> str:
    return f"lag at most {clock(lag.median_s)} for half, {clock(lag.most_s)} for all"
