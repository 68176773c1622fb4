"""How far ahead is read, in files and bytes."""

from __future__ import annotations

import threading

import pytest

from pipelines.read_ahead import AHEAD_BYTES, AHEAD_JOBS, REMOTE_THREADS, ahead, sized_ahead

MIB = 1 << 20


class Counted:
    """Jobs that give files of some size, and how many of these were in memory at once."""

    def __init__(self, size: int) -> None:
        self.most = self.begun = 0
        self._size, self._lock, self._taken = size, threading.Lock(), 0

    def job(self) -> bytes:
        with self._lock:
            self.begun += 1
            self.most = max(self.most, self.begun - self._taken)
        return bytes(self._size)

    def take(self) -> None:
        with self._lock:
            self._taken += 1


@pytest.mark.parametrize(
    ("size", "most"),
    [
        (1000, AHEAD_JOBS + 1),
        (4 * MIB, REMOTE_THREADS + 17),
        (20 * MIB, REMOTE_THREADS + 4),
        (2 * AHEAD_BYTES, REMOTE_THREADS + 1),
    ],
)
def test_what_is_read_ahead_is_bounded_in_files_and_bytes(size: int, most: int) -> None:
    counted = Counted(size)
    taken = 0
    for data in ahead([counted.job] * 200):
        assert len(data) == size
        counted.take()
        taken += 1
    assert taken == counted.begun == 200
    assert counted.most <= most


@pytest.mark.parametrize("size", [4 * MIB, 20 * MIB, 2 * AHEAD_BYTES])
def test_files_of_known_size_are_not_even_begun_beyond_the_bound(size: int) -> None:
    counted = Counted(size)
    for _ in sized_ahead([(size, counted.job)] * 60, len):
        counted.take()
    assert counted.begun == 60
    assert counted.most <= 2 + AHEAD_BYTES // size  # the next one, and the one being taken


def test_outcomes_come_in_order_however_large() -> None:
    def job(number: int) -> bytes:
        threading.Event().wait(0.002 * (number % 7))
        return bytes((number % 5) * 3 * MIB) + number.to_bytes(2)

    jobs = [lambda number=number: job(number) for number in range(90)]
    assert [int.from_bytes(data[-2:]) for data in ahead(jobs)] == list(range(90))
    assert list(ahead([])) == []
    assert list(ahead([lambda: ("no", "bytes")] * 3)) == [("no", "bytes")] * 3


def test_who_stops_early_waits_for_nothing_that_has_no_room() -> None:
    counted = Counted(40 * MIB)
    outcomes = ahead([counted.job] * 100)
    next(outcomes)
    outcomes.close()
    assert counted.begun < 100

    def broken() -> bytes:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(ahead([counted.job, broken, *[counted.job] * 50]))
