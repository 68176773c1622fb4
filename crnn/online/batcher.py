"""Pictures waiting by bucket, and which of them make the next batch.

An engine that is free takes the bucket whose first picture's turn is first, as much of it as one
batch holds. Turns are the order in which pictures came, but a request's second one lets some go
before it that come later, its third one twice as many: who sends one picture doesn't wait for all
that others sent at once, and every picture is read eventually. While an engine works, pictures
gather by themselves; so batches are small when there is little to do and full when there is much.
A short wait is worth it only where more may come of it: while other pictures are being decoded,
and, where no core rests, for an engine that is free beside one that works. A spare engine, one
beside as many as have cores of their own, works while cores rest: on a core that is taken from
others it would only make batches smaller.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crnn.images.prepare import Small
from crnn.online.request import Bucket, QueuedPicture

LET_BEFORE = 256
"""Pictures that came later and go before a request's second one, at most."""
DECODED_AT_ONCE = 4 << 20
"""Bytes of one batch that an engine's thread decodes, so that no caller waits long for the
pictures of others: some tens of milliseconds at worst, and more than 128 usual crops have."""
LOOK_S = 0.25
"""How often a spare engine checks for idle cores."""


@dataclass(frozen=True)
class Batch:
    """Pictures of one bucket, by their turns; or, of no bucket, those that can't be read."""

    bucket: Bucket | None
    entries: list[QueuedPicture]

    @property
    def bucket_width(self) -> int | None:
        """Width of the bucket, px."""
        return None if self.bucket is None else self.bucket.width_px


class Batcher:
    """Safe among threads: any adds, engine threads take."""

    def __init__(
        self,
        batch_size: Callable[[int], int],
        wait_s: float,
        *,
        second_size: Callable[[int], int] | None = None,
        engines: int = sys.maxsize,
        cores_rest: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make one; it has no threads.

        Args:
            batch_size: of a bucket's width.
            wait_s: the longest such wait.
            second_size: as ``batch_size``, of what a second bundle reads.
            engines: that have their own cores; any beyond this number is a spare one.
            cores_rest: tells it of the last moments, quickly.
        """
        self._sizes = batch_size, second_size or batch_size
        self._wait_s = wait_s
        self._engines, self._cores_rest = engines, cores_rest
        self._changed = threading.Condition(threading.Lock())
        self._buckets: dict[Bucket, list[tuple[int, int, QueuedPicture]]] = {}
        """Heaps of turn, number and picture."""
        self._numbers = itertools.count()
        self._unreadable: list[QueuedPicture] = []
        self._num_decoding = 0
        self._num_busy = 0
        self._num_watching = 0
        """Engines that wait for a picture's time to come."""
        self._is_closed = False

    def expect(self, count: int) -> None:
        """Adds to the pictures being decoded."""
        with self._changed:
            self._num_decoding += count

    def give_up(self, count: int = 1) -> None:
        """Subtracts pictures that were expected and won't come."""
        with self._changed:
            self._num_decoding -= count
            if not self._num_decoding:
                self._changed.notify()

    def add(self, entry: QueuedPicture) -> None:
        """One of those that were expected has come."""
        with self._changed:
            self._num_decoding -= 1
            if entry.bucket is None:
                self._unreadable.append(entry)
                self._changed.notify()
            elif self._put(entry, entry.bucket) or not self._num_decoding:
                self._changed.notify()

    def add_unexpected(self, entries: Sequence[QueuedPicture]) -> None:
        """Pictures of buckets, all at once."""
        with self._changed:
            for entry in entries:
                assert entry.bucket is not None
                if self._put(entry, entry.bucket):
                    self._changed.notify()

    def take(self) -> Batch | None:
        """The next batch, waiting for it; None when the batcher is closed.

        Who took one calls ``done`` before the next.
        """
        with self._changed:
            while not self._is_closed:
                if self._unreadable:
                    entries, self._unreadable = self._unreadable, []
                    return self._taken(Batch(None, entries))
                bucket, wait_s = self._due()
                if bucket is not None:
                    return self._taken(self._pop(bucket))
                self._num_watching += wait_s is not None
                self._changed.wait(wait_s)
                self._num_watching -= wait_s is not None
            return None

    def done(self) -> None:
        """A batch that was taken has been read."""
        with self._changed:
            self._num_busy -= 1

    def close(self) -> None:
        """``take`` gives nothing any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _taken(self, batch: Batch) -> Batch:
        """The batch, once another engine looks after what is left."""
        self._num_busy += 1
        if self._unreadable or (self._buckets and self._may_wake()):
            self._changed.notify()
        return batch

    def _full(self, bucket: Bucket) -> int:
        """Pictures that make a full batch."""
        return self._sizes[bucket.is_second](bucket.width_px)

    def _put(self, entry: QueuedPicture, bucket: Bucket) -> bool:
        """Whether an engine thread should look: the first of a bucket, or enough of it."""
        number = next(self._numbers)
        waiting = self._buckets.setdefault(bucket, [])
        entry.turn = number + LET_BEFORE * entry.index
        heapq.heappush(waiting, (entry.turn, number, entry))
        return len(waiting) in (1, self._full(bucket)) and self._may_wake()

    def _may_wake(self) -> bool:
        """Whether a free engine has to know: if it mustn't work, one that looks later will do."""
        return self._may_work() or not self._num_watching

    def _may_work(self) -> bool:
        """Whether a free engine has a core."""
        return self._num_busy < self._engines or self._cores_rest()

    def _due(self) -> tuple[Bucket | None, float | None]:
        """The bucket whose time has come; else how long to wait, if anything waits at all."""
        self._forget_the_gone()
        if not self._buckets:
            return None, None
        if not self._may_work():
            return None, LOOK_S
        now_s, gathers = time.monotonic(), self._may_gather()
        left_s = {b: has[0][2].ready_s + self._wait_s - now_s for b, has in self._buckets.items()}
        due = [bucket for bucket, left in left_s.items() if left <= 0 or not gathers]
        if due:
            return min(due, key=self._turn), None
        full = [bucket for bucket, has in self._buckets.items() if len(has) >= self._full(bucket)]
        return (min(full, key=self._turn), None) if full else (None, min(left_s.values()))

    def _may_gather(self) -> bool:
        """Whether waiting makes larger batches without leaving a core idle."""
        return self._num_decoding > 0 or (self._num_busy > 0 and not self._cores_rest())

    def _turn(self, bucket: Bucket) -> int:
        """Turn of the bucket's first picture."""
        return self._buckets[bucket][0][0]

    def _forget_the_gone(self) -> None:
        """Drops cancelled pictures from the front of every bucket."""
        for bucket, waiting in list(self._buckets.items()):
            while waiting and waiting[0][2].request.is_over:
                heapq.heappop(waiting)
            if not waiting:
                del self._buckets[bucket]

    def _pop(self, bucket: Bucket) -> Batch:
        waiting, size = self._buckets[bucket], self._full(bucket)
        entries: list[QueuedPicture] = []
        decoding_bytes = 0
        while waiting and len(entries) < size:
            entry = waiting[0][2]
            decoding_bytes += _decoding_bytes(entry)
            if entries and decoding_bytes > DECODED_AT_ONCE:
                break
            heapq.heappop(waiting)
            if not entry.request.is_over:
                entries.append(entry)
        if not waiting:
            del self._buckets[bucket]
        return Batch(bucket, entries)


def _decoding_bytes(entry: QueuedPicture) -> int:
    """Bytes still to decode when the picture is read; 0 if already decoded or cancelled."""
    if entry.request.is_over or not isinstance(entry.picture, Small):
        return 0
    return entry.picture.decoding_bytes
