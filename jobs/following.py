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
    from pipelines.recognition.arrivals import MessageCounts
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
        self._said: tuple[int, int, str, int] | None = None
        self._told_of_left = False

    def __call__(self, now: Progress, followed: Followed, each: str) -> None:
        """``each``: what else was counted, as text."""
        moment = time.monotonic()
        messages = followed.messages
        news = (now.done, now.total, followed.trouble, messages.left if messages else 0)
        if moment < self._next_s or (news == self._said and moment < self._quiet_s):
            return
        self._next_s, self._quiet_s = moment + LINE_EVERY_S, moment + _QUIET_S
        self._said = news
        waiting = now.total - now.done
        lag = f", {_words(followed.lag)}" if followed.lag else ""
        print(
            f"following: {now.done:,} read{each}, {now.errors:,} errors, {waiting:,} waiting"
            f"{lag}; {followed.rounds:,} listings{f', {_count(messages)}' if messages else ''}",
            flush=True,
        )
        if followed.trouble:
            print(f"note: this failed and is tried again: {followed.trouble}", flush=True)
        if messages and messages.left and not self._told_of_left:
            self._told_of_left = True
            print(
                "note: messages that aren't events of S3 are left in the queue, for its redrive "
                f"policy to set aside, such as {messages.example}",
                flush=True,
            )


def came(lag: Lag | None, messages: MessageCounts | None) -> str:
    """Lines for the end; empty where nothing came."""
    lines = [f"what came while it ran: {_words(lag)}\n"] if lag else []
    if messages:
        lines.append(f"queue: {_count(messages)}\n")
    return "".join(lines)


def _count(messages: MessageCounts) -> str:
    parts = (
        (messages.elsewhere, "events of other objects or kinds"),
        (messages.left, "left that aren't S3's"),
        (messages.by_listing, "inputs found by listing before their message"),
    )
    return ", ".join(
        [f"{messages.read:,} messages", *(f"{count:,} {what}" for count, what in parts if count)]
    )


def _words(lag: Lag) -> str:
    return f"lag at most {clock(lag.median_s)} for half, {clock(lag.most_s)} for all"
