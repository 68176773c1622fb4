"""Requests take turns: who sends much makes nobody wait for all of it, and waits not for ever."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from crnn.images.plain import Header
from crnn.images.prepare import Small
from crnn.online.batcher import DECODED_AT_ONCE, LET_BEFORE, Batcher
from crnn.online.request import QueuedPicture, ReadRequest
from tests.crnn.online.test_batcher import entry, request, taken

WIDTH = 32


def pictures(count: int, of: ReadRequest | None = None) -> list[QueuedPicture]:
    """Of one request."""
    caller = of or request()
    return [replace(entry(WIDTH, 0.0, caller), index=index) for index in range(count)]


def order(batcher: Batcher, count: int) -> list[QueuedPicture]:
    found: list[QueuedPicture] = []
    while len(found) < count:
        found += taken(batcher).entries
    return found


def test_one_picture_waits_for_the_first_of_each_caller_before_it_and_few_more() -> None:
    batcher = Batcher(lambda width: 1, 0.0)
    hostile = [pictures(64) for _ in range(16)]
    for one in hostile:
        batcher.add_unexpected(one)
    [neighbour] = pictures(1)
    batcher.add_unexpected([neighbour])
    before = next(n for n, one in enumerate(order(batcher, 64)) if one is neighbour)
    assert before <= 16 * (1 + 16 * 64 // LET_BEFORE) < 16 * 64


def test_nobody_is_put_off_for_ever_by_a_stream_of_callers_with_one_picture_each() -> None:
    batcher = Batcher(lambda width: 1, 0.0)
    many = pictures(3)
    batcher.add_unexpected(many)
    taken_at = {}
    for number in range(3 * LET_BEFORE):
        batcher.add_unexpected(pictures(1, many[0].request))
        [one] = taken(batcher).entries
        taken_at[id(one)] = number
    first, second, third = (taken_at[id(one)] for one in many)
    assert first == 0
    assert LET_BEFORE - 3 <= second <= LET_BEFORE + 1
    assert 2 * LET_BEFORE - 3 <= third <= 2 * LET_BEFORE + 2


def test_a_batch_holds_as_much_to_decode_as_takes_little_time() -> None:
    batcher = Batcher(lambda width: 64, 0.0)
    large = Small(bytes(DECODED_AT_ONCE // 4), Header(WIDTH, 32, 1, False))
    batcher.add_unexpected([replace(one, picture=large) for one in pictures(10)])
    sizes = []
    while sum(sizes) < 10:
        sizes.append(len(taken(batcher).entries))
    assert sizes == [3, 3, 3, 1]
    huge = Small(bytes(DECODED_AT_ONCE + 1), Header(WIDTH, 32, 1, False))
    batcher.add_unexpected([replace(one, picture=huge) for one in pictures(2)])
    assert [len(taken(batcher).entries) for _ in range(2)] == [1, 1]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5))
def test_each_is_taken_once_and_those_of_a_caller_in_their_order(
    counts: list[int], size: int
) -> None:
    batcher = Batcher(lambda _: size, 0.0)
    callers = [pictures(count) for count in counts]
    for caller in callers:
        batcher.add_unexpected(caller)
    found = order(batcher, sum(counts))
    assert len({id(one) for one in found}) == len(found) == sum(counts)
    for caller in callers:
        assert [one.index for one in found if one.request is caller[0].request] == list(
            range(len(caller))
        )
