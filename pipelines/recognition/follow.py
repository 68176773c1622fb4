"""Pictures that keep coming: the input is listed again and again until the job is told to stop.

1. A thread lists the input; ``known`` says what is new, and ``plan`` writes it down.
2. The driver spreads the new chunks over the cluster; each leaves its results file.
3. Then rows that newer ones replace are swept, and the next chunks are taken.
4. Told to stop, nothing more is listed; what is being read is finished if that takes a moment.
5. If nothing is left, the report is written; else the same command goes on where this one stopped.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import pyarrow as pa

from crnn.errors import DataError
from crnn.files import storage
from pipelines.recognition.config import EVERY_S
from pipelines.recognition.known import Known
from pipelines.recognition.plan import Ledger, Plan
from pipelines.stores import NothingThereError

_GRACE_S = 30.0
_RECENT_S = 60.0
_LONGEST_PAUSE = 32
"""Longest pause before a failed listing is tried again, as a multiple of the first; each pause is
twice as long as the one before."""
_SWEEP_SHARE = 10
"""Sweeping reads the keys of all results: after it, reading goes on for this many times as long."""


class Lag(NamedTuple):
    """How long pictures waited from their arrival until their row was written, s: upper bounds.

    A picture that a listing finds has arrived after the listing before it began.
    """

    median_s: float
    most_s: float


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What there is to say between two chunks."""

    rounds: int
    """Listings that are over."""
    lag: Lag | None
    """Lag of the chunks of the last minute; None if none had to wait."""
    trouble: str
    """Why the last listing failed; empty where it didn't."""


class Follow:
    """Lists in a thread of its own; tells the driver, and is told, when to stop.

    What was there when the job began isn't new: its lag isn't counted.
    """

    def __init__(self, input_uri: str, every_s: float = EVERY_S) -> None:
        """``every_s``: seconds from the end of a listing to the next."""
        self._is_local, self._every_s = storage.is_local(input_uri), every_s
        self._stop = threading.Event()
        self._stopped_s = 0.0
        self._rounds, self._trouble = 0, ""
        self._since: dict[int, float] = {}
        """For each plan when the listing began before which none of its pictures had arrived."""
        self._recent: deque[tuple[float, float]] = deque()
        self._lags = array("d")
        self._replacing = set[int]()
        """Plans with inputs that have an older row."""
        self._replaced, self._next_sweep_s = False, 0.0

    def plans(self, ledger: Ledger, listing: Callable[[], Iterator[pa.Table]]) -> Iterator[Plan]:
        """Plans of what is new or has changed, until told to stop.

        A listing that fails, as while a store is down, is tried again later.

        Raises:
            DataError: when the first listing fails; a prefix of a store may be empty. When another
                job writes plans to the same place, or they can't be written.
        """
        known = Known((ledger.inputs(plan) for plan in reversed(ledger.plans())), rounds=True)
        since: float | None = None
        pause = 1
        while not self._stop.is_set():
            began = time.time()
            tables = (known.fresh(table) for table in self._listed(listing))
            for plan in ledger.add(tables):
                if since is not None:
                    self._since[plan.number] = since
                if plan.replaces:
                    self._replacing.add(plan.number)
                yield plan
            known.next_round()
            if self._trouble:
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                since, pause = began, 1
            self._rounds += 1
            self._stop.wait(self._every_s * pause)

    def _listed(self, listing: Callable[[], Iterator[pa.Table]]) -> Iterator[pa.Table]:
        """The tables of a listing, as far as it goes; the first one must succeed."""
        trouble = ""
        try:
            for table in listing():
                yield table
                if self._stop.is_set():
                    return
        except NothingThereError as error:
            if self._is_local:
                trouble = str(error)
        except (DataError, OSError) as error:
            trouble = str(error)
        if trouble and not self._rounds:
            raise DataError(trouble)
        self._trouble = trouble

    def stop(self) -> None:
        """List nothing more, and end soon."""
        self._stopped_s = self._stopped_s or time.monotonic()
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    @property
    def overdue(self) -> bool:
        """Whether it was told so a while ago, and what is being read is to be left."""
        return self.stopped and time.monotonic() - self._stopped_s > _GRACE_S

    def read(self, plan: int, ended: float) -> None:
        """A chunk of this plan has its rows since ``ended``, s since 1970."""
        self._replaced |= plan in self._replacing
        since = self._since.get(plan)
        if since is not None:
            self._recent.append((time.monotonic(), ended - since))
            self._lags.append(ended - since)

    def may_sweep(self, sweep: Callable[[], object]) -> None:
        """Calls ``sweep`` where there is something to take out, and the last one is long over."""
        if not self._replaced or time.monotonic() < self._next_sweep_s:
            return
        self._replaced = False
        began_s = time.monotonic()
        sweep()
        ended_s = time.monotonic()
        self._next_sweep_s = ended_s + _SWEEP_SHARE * (ended_s - began_s)

    def now(self) -> Followed:
        """What there is to say."""
        while self._recent and self._recent[0][0] < time.monotonic() - _RECENT_S:
            self._recent.popleft()
        lag = _lag([lag for _, lag in self._recent])
        return Followed(rounds=self._rounds, lag=lag, trouble=self._trouble)

    def lag(self) -> Lag | None:
        """Lag of the whole run; None if nothing new arrived while it ran."""
        return _lag(self._lags)


def _lag(lags: Sequence[float]) -> Lag | None:
    return Lag(median(lags), max(lags)) if lags else None
