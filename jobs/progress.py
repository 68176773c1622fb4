"""Plain lines of progress with rate and time left; no control characters, so logs stay readable."""

from __future__ import annotations

import time

LINE_EVERY_S = 5.0


class ProgressLines:
    """Prints ``what: done of total, rate, time left`` now and then, and at the end."""

    def __init__(self, what: str, *, unit: str = "pictures", paced_by: str = "") -> None:
        """``paced_by``: what the rate counts, if that isn't ``unit``."""
        self._what, self._unit, self._paced_by = what, unit, paced_by
        self._next_s = time.monotonic() + LINE_EVERY_S
        self._first: tuple[float, int, int] | None = None

    def __call__(
        self, done: int, total: int, note: str = "", *, final: bool = True, paced: int = 0
    ) -> None:
        """Takes in that ``done`` of ``total`` are done; the first call starts the clock.

        ``final`` is false while ``total`` still grows: then the time left is unknown.
        ``paced`` is how much of what the rate counts is done, if that isn't ``unit``.
        """
        now = time.monotonic()
        start_s, start, paced_start = self._first = self._first or (now, done, paced)
        if now < self._next_s and (done < total or not final):
            return
        self._next_s = now + LINE_EVERY_S
        rate = (done - start) / (now - start_s) if now > start_s else 0.0
        left = f", {clock((total - done) / rate)} left" if rate and final else ""
        speed = f"{rate:,.0f}/s"
        if self._paced_by and rate:
            speed = f"{(paced - paced_start) / (now - start_s):,.1f} {self._paced_by}/s"
        pace = f", {speed}{left}" if rate else ""
        share = done / total if total else 1.0
        print(
            f"{self._what}: {done:,} of {total:,} {self._unit} ({share:.0%}){pace}{note}",
            flush=True,
        )


def clock(seconds: float) -> str:
    """``1:05`` or ``2:03:04``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
