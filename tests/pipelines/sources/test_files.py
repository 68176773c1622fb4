"""Pictures that are files: one limit and one name of each failure, and how far ahead is read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from crnn.errors import PictureError
from crnn.files import storage
from pipelines.recognition.source import picture_bytes
from pipelines.sources.files import MAX_PICTURE_BYTES, REMOTE_THREADS, ahead, read_file

MIB = 1 << 20


def prepared_as(address: str) -> str:
    found = read_file(address)
    return found.reason if isinstance(found, PictureError) else ""


def recognized_as(address: str) -> str:
    try:
        picture_bytes(address)
    except PictureError as error:
        return error.reason
    return ""


def test_preparing_and_recognizing_have_one_limit_and_one_name_of_a_failure(tmp_path: Path) -> None:
    expected = {"small": "", "gone": "not_found", "folder": "unreadable", "loop": "unreadable"}
    expected |= {"largest": "", "larger": "too_large"}
    (tmp_path / "small").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name, size in (("largest", MAX_PICTURE_BYTES), ("larger", MAX_PICTURE_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    addresses = {name: str(tmp_path / name) for name in expected}
    assert {name: prepared_as(address) for name, address in addresses.items()} == expected
    assert {name: recognized_as(address) for name, address in addresses.items()} == expected


def test_the_same_of_an_object_store(new_bucket: Callable[[], str]) -> None:
    address = storage.join(new_bucket(), "a.png")
    assert prepared_as(address) == recognized_as(address) == "not_found"
    storage.write_bytes(address, b"1")
    assert prepared_as(address) == recognized_as(address) == ""


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
        (1000, 2 * REMOTE_THREADS + 1),
        (4 * MIB, REMOTE_THREADS + 9),
        (20 * MIB, REMOTE_THREADS + 2),
        (MAX_PICTURE_BYTES, REMOTE_THREADS + 1),
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
