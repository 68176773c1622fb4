"""Pictures that keep coming: what is new is found and read until the job is told to stop.

1. A thread lists the input again and again, or takes messages that tell what has come
   (``arrivals``); ``known`` says what is new, and ``plan`` writes it down.
2. The driver spreads the new chunks over the cluster; each leaves its results file.
3. Then rows that newer ones replace are swept, and the next chunks are taken.
4. Told to stop, it looks for nothing more; what is being read is finished if that takes a moment.
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

from crnn.files import storage
from pipelines.recognition.arrivals import Arrivals, Cut, MessageCounts
from pipelines.recognition.config import EVERY_S, RELIST_S
from pipelines.recognition.event_queue import EventQueue
from pipelines.recognition.known import Known
from pipelines.recognition.listing import InputFolder
from pipelines.recognition.listings import LONGEST_PAUSE, InputBatch, Listings
from pipelines.recognition.plan import Ledger, Plan

_GRACE_S = 30.0
_RECENT_S = 60.0
_SWEEP_SHARE = 10
"""Sweeping reads the keys of all results: after it, reading goes on for this many times as long."""


class Lag(NamedTuple):
    """How long pictures waited from their arrival until their row was written, s: upper bounds.

    A picture that a listing finds has arrived after the listing before it began. Of one of which a
    message tells the time is known; those that are planned together count from the first.
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
    """Why the last listing failed, or what is wrong with the queue; empty where nothing is."""
    messages: MessageCounts | None
    """What came from the queue, if there is one."""


class Follow:
    """Looks for new inputs in a thread of its own; tells the driver, and is told, when to stop.

    What was there when the job began isn't new: its lag isn't counted.
    """

    def __init__(
        self,
        input_uri: str,
        every_s: float = EVERY_S,
        *,
        events: str = "",
        relist_s: float = RELIST_S,
    ) -> None:
        """
        Args:
            input_uri: as of the job.
            every_s: seconds from the end of a listing to the next; with ``events`` from one batch
                of messages to the next.
            events: URL of the queue of SQS to which the input's bucket tells what comes.
            relist_s: with ``events``, seconds from the end of a listing to the next.
        """
        self.events = events
        self._is_local = storage.is_local(input_uri)
        self._every_s, self._relist_s = every_s, relist_s
        self._stop = threading.Event()
        self._stopped_s = 0.0
        self._arrivals: Arrivals | None = None
        self._listings: Listings | None = None
        self._since: dict[int, float] = {}
        """For each plan a moment when none of its pictures had arrived, or only the first."""
        self._recent: deque[tuple[float, float]] = deque()
        self._lags = array("d")
        self._replacing = set[int]()
        """Plans with inputs that have an older row."""
        self._replaced, self._next_sweep_s = False, 0.0

    def take_events(self, folder: InputFolder, cut: Cut) -> None:
        """Before ``plans``: what comes there is told by the queue of ``events``.

        ``cut`` makes tables of the size of chunks.
        """
        queue = EventQueue(self.events)
        self._arrivals = Arrivals(
            queue, folder, cut, every_s=self._every_s, relist_s=self._relist_s
        )

    def plans(self, ledger: Ledger, listing: Callable[[], Iterator[pa.Table]]) -> Iterator[Plan]:
        """Plans of what is new or has changed, until told to stop.

        A listing that fails, as while a store is down, is tried again later; so is the queue.

        Raises:
            DataError: when the first listing fails; a prefix of a store may be empty. When another
                job writes plans to the same place, or they can't be written. When the first
                messages can't be taken from the queue.
        """
        known = Known((ledger.inputs(plan) for plan in reversed(ledger.plans())), rounds=True)
        for batch in self._batches(known, listing):
            tables = (known.fresh(table) for table in batch.tables)
            for plan in ledger.add(tables):
                if batch.since is not None:
                    self._since[plan.number] = batch.since
                if plan.replaces:
                    self._replacing.add(plan.number)
                yield plan
            known.next_round()
            batch.planned()

    def _batches(
        self, known: Known, listing: Callable[[], Iterator[pa.Table]]
    ) -> Iterator[InputBatch]:
        arrivals = self._arrivals

        def narrowed() -> Iterator[pa.Table]:
            return arrivals.narrowed(listing(), known) if arrivals else listing()

        self._listings = Listings(narrowed, is_local=self._is_local, stop=self._stop)
        if arrivals:
            return arrivals.batches(known, self._listings, self._stop)
        return self._polled(self._listings)

    def _polled(self, listings: Listings) -> Iterator[InputBatch]:
        """A listing a batch."""
        since: float | None = None
        pause = 1
        while not self._stop.is_set():
            began = time.time()
            yield InputBatch(listings.tables(), since)
            if listings.trouble:
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                since, pause = began, 1
            self._stop.wait(self._every_s * pause)

    def stop(self) -> None:
        """Look for nothing more, and end soon."""
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
            lag = max(0.0, ended - since)  # another machine's clock may be ahead
            self._recent.append((time.monotonic(), lag))
            self._lags.append(lag)

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
        listings = self._listings
        troubles = (listings and listings.trouble, self._arrivals and self._arrivals.trouble)
        return Followed(
            rounds=listings.rounds if listings else 0,
            lag=lag,
            trouble="; ".join(trouble for trouble in troubles if trouble),
            messages=self.messages,
        )

    @property
    def messages(self) -> MessageCounts | None:
        """What came from the queue, if there is one."""
        return self._arrivals.counts if self._arrivals else None

    def lag(self) -> Lag | None:
        """Lag of the whole run; None if nothing new arrived while it ran."""
        return _lag(self._lags)


def _lag(lags: Sequence[float]) -> Lag | None:
    return Lag(median(lags), max(lags)) if lags else None
