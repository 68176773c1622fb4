"""Which pictures make the next batch: of one bucket, oldest first, nobody left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.decode import greedy
from crnn.errors import PictureError, QueueFullError
from crnn.images.contract import PictureContract
from crnn.images.prepare import Prepared
from crnn.online.batcher import Batch, Batcher
from crnn.online.places import LONGEST_RETRY_S, Places
from crnn.online.request import QueuedPicture, ReadRequest

FOREVER_S = 1e6


def batch_size(width_px: int) -> int:
    return max(1, 256 // width_px)


def request() -> ReadRequest:
    async def make() -> ReadRequest:
        return ReadRequest([b""], greedy, chars=True, now_s=0.0)

    return asyncio.run(make())


SOMEBODY, NOBODY = request(), request()
NOBODY.is_over = True


def entry(width: int, ready_s: float, of: ReadRequest = SOMEBODY) -> QueuedPicture:
    """Width 0 is a picture that can't be read."""
    if not width:
        return QueuedPicture(of, 0, PictureError("undecodable", "broken"), None, ready_s)
    picture = Prepared(
        pixels=np.zeros((32, width, 1), dtype=np.uint8),
        content_width_px=width,
        source_width_px=width,
        source_height_px=32,
        squeezed=False,
    )
    return QueuedPicture(of, 0, picture, width, ready_s)


def taken(batcher: Batcher) -> Batch:
    """The next batch, by an engine that is done with it at once."""
    batch = batcher.take()
    assert batch is not None
    batcher.done()
    return batch


WIDTHS = st.lists(st.sampled_from([0, 32, 64, 96, 400]), max_size=60)


@given(widths=WIDTHS, gone=st.sets(st.integers(0, 59)), small=st.integers(0, 60))
def test_every_picture_is_taken_once_in_the_order_of_its_bucket(
    widths: list[int], gone: set[int], small: int
) -> None:
    batcher = Batcher(batch_size, FOREVER_S)
    entries = [entry(w, n, NOBODY if n in gone and w else SOMEBODY) for n, w in enumerate(widths)]
    batcher.add_unexpected([one for one in entries[:small] if one.bucket_width])
    others = [one for n, one in enumerate(entries) if n >= small or not one.bucket_width]
    batcher.expect(len(others))
    for one in others:
        batcher.add(one)
    left = [one for one in entries if not one.request.is_over]
    while left:
        batch = taken(batcher)
        oldest = left[0]
        for one in batch.entries:
            left.remove(one)
        members = [
            one.picture.pixels.shape[1] if isinstance(one.picture, Prepared) else None
            for one in batch.entries
        ]
        assert set(members) == {batch.bucket_width}
        assert batch.entries == sorted(batch.entries, key=lambda one: one.ready_s)
        if batch.bucket_width is not None:
            assert len(batch.entries) <= batch_size(batch.bucket_width)
            assert batch.entries[0] is oldest
            rest = [one for one in left if one.picture.pixels.shape[1] == batch.bucket_width]
            assert not rest or len(batch.entries) == batch_size(batch.bucket_width)


class Taking(threading.Thread):
    """Takes one batch."""

    def __init__(self, batcher: Batcher) -> None:
        super().__init__(daemon=True)
        self._batcher = batcher
        self.batch: Batch | None = None
        self.start()

    def run(self) -> None:
        self.batch = self._batcher.take()

    def result(self) -> Batch:
        self.join(60)
        assert self.batch is not None
        return self.batch


@pytest.mark.parametrize(
    "last",
    [lambda b: b.add(entry(64, 2.0)), lambda b: b.give_up()],
    ids=["it comes", "it won't come"],
)
def test_a_free_engine_waits_for_what_is_being_decoded_and_for_nothing_else(
    last: Callable[[Batcher], None],
) -> None:
    batcher = Batcher(batch_size, FOREVER_S)
    batcher.expect(3)
    numbers = count()
    batcher.add(entry(32, next(numbers)))
    taking = Taking(batcher)
    batcher.add(entry(32, next(numbers)))
    last(batcher)
    assert [one.ready_s for one in taking.result().entries] == [0, 1]


def test_a_second_engine_takes_full_batches_only_while_the_first_one_has_the_last_core() -> None:
    batcher = Batcher(batch_size, FOREVER_S, cores_rest=lambda: False)
    batcher.expect(6)
    for n in range(6):
        batcher.add(entry(96, n))
    assert [one.ready_s for one in batcher.take().entries] == [0, 1]  # type: ignore[union-attr]
    assert [one.ready_s for one in batcher.take().entries] == [2, 3]  # type: ignore[union-attr]
    batcher.take()
    batcher.expect(3)
    batcher.add(entry(96, 6))
    second = Taking(batcher)
    batcher.add(entry(64, 7))
    batcher.add(entry(96, 8))
    assert [one.ready_s for one in second.result().entries] == [6, 8]
    for _ in range(4):
        batcher.done()
    assert [one.ready_s for one in taken(batcher).entries] == [7]


def test_a_spare_engine_works_while_cores_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = False
    monkeypatch.setattr("crnn.online.batcher.LOOK_S", 0.01)
    batcher = Batcher(batch_size, 0.0, engines=1, cores_rest=lambda: rest)
    batcher.add_unexpected([entry(32, 0), entry(64, 1)])
    assert batcher.take().bucket_width == 32  # type: ignore[union-attr]
    spare = Taking(batcher)
    batcher.add_unexpected([entry(400, 2)])
    spare.join(0.2)
    assert spare.is_alive()
    rest = True
    assert spare.result().bucket_width == 64
    rest = False
    for _ in range(2):
        batcher.done()
    assert taken(batcher).bucket_width == 400


def test_a_second_engine_does_not_wait_while_cores_rest() -> None:
    rest = False
    batcher = Batcher(batch_size, FOREVER_S, engines=2, cores_rest=lambda: rest)
    now_s = 1e9  # nobody's time has come
    batcher.add_unexpected([entry(32, now_s), entry(64, now_s)])
    assert batcher.take().bucket_width == 32  # type: ignore[union-attr]
    second = Taking(batcher)
    second.join(0.2)
    assert second.is_alive()
    rest = True
    batcher.add_unexpected([entry(96, now_s)])
    assert second.result().bucket_width == 64


def test_a_full_bucket_is_taken_while_others_wait_and_a_late_one_before_it() -> None:
    batcher = Batcher(batch_size, FOREVER_S)
    batcher.expect(100)
    now_s = 1e9  # nobody's time has come
    batcher.add(entry(32, now_s))
    for n in range(4):
        batcher.add(entry(64, now_s + 1 + n))
    assert taken(batcher).bucket_width == 64
    for n in range(4):
        batcher.add(entry(64, now_s + 1 + n))
    batcher.add(entry(96, -FOREVER_S))
    assert [taken(batcher).bucket_width for _ in range(2)] == [96, 64]


def test_two_engines_share_what_one_batch_does_not_hold() -> None:
    batcher = Batcher(batch_size, 0.0)
    takers = [Taking(batcher), Taking(batcher)]
    batcher.expect(2)
    batcher.add(entry(400, 0.0))
    batcher.add(entry(400, 1.0))
    assert sorted(t.result().entries[0].ready_s for t in takers) == [0, 1]


def test_closing_ends_those_who_wait() -> None:
    batcher = Batcher(batch_size, FOREVER_S)
    batcher.expect(1)
    takers = [Taking(batcher), Taking(batcher)]
    batcher.close()
    for taker in takers:
        taker.join(60)
        assert not taker.is_alive()
        assert taker.batch is None


@given(
    calls=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 120)), max_size=30),
    answered=st.integers(0, 5),
)
def test_places_never_exceed_their_bounds_and_all_come_back(
    calls: list[tuple[int, int]], answered: int
) -> None:
    places = Places(10, 100)
    held: list[tuple[int, int]] = []
    for call in calls:
        if answered and held:
            places.answered(answered)
        room = (10 - sum(n for n, _ in held), 100 - sum(size for _, size in held))
        if call[0] > 10 or call[1] > 100:
            with pytest.raises(ValueError, match="send fewer"):
                places.take(*call)
        elif call[0] > room[0] or call[1] > room[1]:
            with pytest.raises(QueueFullError) as full:
                places.take(*call)
            assert 0 < full.value.retry_after_s <= LONGEST_RETRY_S
            places.give_back(*held.pop(0))
        else:
            places.take(*call)
            held.append(call)
        assert places.pictures == sum(n for n, _ in held)
    for call in held:
        places.give_back(*call)
    assert places.pictures == 0
    places.take(10, 100)


def test_a_long_line_weighs_as_many_pictures_as_it_costs() -> None:
    contract = PictureContract()
    assert [contract.weight(width) for width in (64, 128, 192, 512, 2048)] == [1, 1, 2, 4, 16]
    places = Places(20, 1000)
    places.take(1, 1, extra=15)
    with pytest.raises(QueueFullError, match="1 pictures of 1 bytes that count as 16 words"):
        places.take(1, 1, extra=15)
    places.take(4, 1)
    with pytest.raises(QueueFullError):
        places.take(1, 1)
    places.give_back(1, 1, extra=15)
    places.grow(16)  # those four, once they were decoded
    with pytest.raises(QueueFullError):
        places.take(1, 1)
    places.give_back(4, 1, extra=16)
    places.take(2, 1, extra=30)  # more than all, but alone
    with pytest.raises(QueueFullError):
        places.take(1, 1)
    places.give_back(2, 1, extra=30)
    places.take(20, 1)
