"""Whoever else reads at the same time, a caller gets what ``Recognizer.read`` gives."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn import Result
from crnn.decode import Decoder
from crnn.images.prepare import small_picture
from crnn.online import Pass
from tests.crnn import poison
from tests.crnn.networks import noise
from tests.crnn.online.callers import CONFIG, OFFLINE, Running, check_same, running

PICTURES = tuple(
    poison.encoded(Image.fromarray(noise(seed, 9 + 11 * seed, (16, 32, 57)[seed % 3])))
    for seed in range(16)
)
WORDS = ("abc", "dad", "cafe", "hedge", "a", "bad", "feed", "head")
DECODERS: dict[str, Decoder] = {
    "greedy": OFFLINE.decoder("greedy"),
    "beam": OFFLINE.decoder("beam"),
    "words": OFFLINE.decoder(lexicon=WORDS),
    "other words": OFFLINE.decoder(lexicon=WORDS[:3]),
}


@cache
def expected_of(decoder: str, chars: bool) -> list[Result]:
    return OFFLINE.read(PICTURES, decoder=DECODERS[decoder], chars=chars)


@dataclass(frozen=True)
class Caller:
    """Somebody who reads, and when: in turns of the event loop."""

    pictures: tuple[int, ...]
    decoder: str
    chars: bool
    begins: int
    leaves: int | None
    """After so many turns more he waits no longer."""


CALLERS = st.builds(
    Caller,
    pictures=st.lists(st.integers(0, len(PICTURES) - 1), max_size=12).map(tuple),
    decoder=st.sampled_from(["greedy", "greedy", *DECODERS]),
    chars=st.booleans(),
    begins=st.integers(0, 6),
    leaves=st.sampled_from([None, None, None, 0, 1, 5, 40]),
)


@pytest.fixture(scope="module")
def one() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def many() -> Iterator[Running]:
    config = replace(
        CONFIG, decode_processes=2, engine_threads=2, batch_wait_ms=0, decode_all_apart=True
    )
    with running(config) as many:
        yield many


@settings(max_examples=30, deadline=None)
@given(callers=st.lists(CALLERS, min_size=1, max_size=10))
def test_every_caller_gets_what_he_would_get_alone(
    one: Running, many: Running, callers: list[Caller]
) -> None:
    for side in (one, many):
        found = side.run(all_at_once(side, callers))
        for caller, results in zip(callers, found, strict=True):
            if results is not None:
                expected = expected_of(caller.decoder, caller.chars)
                check_same(results, [expected[n] for n in caller.pictures])
        assert side.online.pictures == 0
        assert side.online.failure is None


async def all_at_once(side: Running, callers: Sequence[Caller]) -> list[list[Result] | None]:
    async def call(caller: Caller) -> list[Result] | None:
        await turns(caller.begins)
        reading = asyncio.ensure_future(
            side.online.read(
                [PICTURES[n] for n in caller.pictures],
                decoder=DECODERS[caller.decoder],
                chars=caller.chars,
                timeout_s=60,
            )
        )
        if caller.leaves is not None:
            await turns(caller.leaves)
            reading.cancel()
        try:
            return await reading
        except asyncio.CancelledError:
            return None

    return await asyncio.gather(*map(call, callers))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_bad_pictures_among_good_ones_harm_no_caller(one: Running) -> None:
    corpus = [bad for name, bad in poison.corpus().items() if name != "decompression_bomb"]
    good = poison.good_pictures(len(corpus))
    expected = OFFLINE.read(good)

    async def read_all() -> list[list[Result]]:
        mixed = [[bad.data, data] for bad, data in zip(corpus, good, strict=True)]
        calls = [one.online.read(pair, timeout_s=60) for pair in mixed]
        calls += [one.online.read([data], timeout_s=60) for data in good]
        calls.append(one.online.read([bad.data for bad in corpus], timeout_s=60))
        return await asyncio.gather(*calls)

    found = one.run(read_all())
    pairs, alone, together = found[: len(corpus)], found[len(corpus) : -1], found[-1]
    check_same([pair[1] for pair in pairs], expected)
    check_same([results[0] for results in alone], expected)
    for bad, result, other in zip(corpus, together, [pair[0] for pair in pairs], strict=True):
        assert bad.allows(result.error_code), result
        assert bad.allows(other.error_code), other
        assert result.text == "" or result.error_code is None
    assert one.online.pictures == 0


def test_small_pictures_need_no_process_unless_they_are_unsound() -> None:
    body = bytearray(zlib.compress(bytes(20 * 11)))
    body[-1] ^= 1
    unsound = poison.png(10, 20, 8, 0, bytes(body))
    assert small_picture(unsound) is not None
    with running(CONFIG) as fresh:
        (small,) = fresh.run(fresh.online.read(PICTURES[:1], timeout_s=60))
        check_same([small], expected_of("greedy", True)[:1])
        assert not fresh.online.process_ids()
        good, bad = fresh.run(fresh.online.read([PICTURES[0], unsound], timeout_s=60))
        assert fresh.online.process_ids()
    check_same([good, bad], OFFLINE.read([PICTURES[0], unsound]))
    assert bad.error_code == "undecodable"
    with running(replace(CONFIG, max_pixels=100)) as strict:
        (large,) = strict.run(strict.online.read(PICTURES[:1], timeout_s=60))
    assert large.error_code == "too_large"


class Counting:
    """An observer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.batches: list[tuple[int, int]] = []
        self.codes: Counter[str | None] = Counter()
        self.seconds: list[float] = []

    def batch(self, batch: Pass) -> None:
        with self._lock:
            self.batches.append((batch.bucket_width, batch.pictures))
            self.seconds += [batch.decode_s, batch.queue_s, batch.engine_s]

    def results(self, results: Sequence[Result]) -> None:
        with self._lock:
            self.codes.update(result.error_code for result in results)


def test_the_observer_sees_every_batch_and_every_picture() -> None:
    seen = Counting()
    with running(observer=seen) as one:

        async def read() -> None:
            callers = [one.online.read([data, b""], timeout_s=60) for data in PICTURES]
            await asyncio.gather(*callers)

        one.run(read())
    assert seen.codes == {None: len(PICTURES), "empty_file": len(PICTURES)}
    assert sum(pictures for _, pictures in seen.batches) == len(PICTURES)
    widths = Counter(width for width, _ in seen.batches)
    assert set(widths) == set(OFFLINE.bundle.picture.widths)
    assert all(
        1 <= pictures <= max(1, CONFIG.batch_pixels // (32 * width))
        for width, pictures in seen.batches
    )
    assert all(0 <= seconds < 60 for seconds in seen.seconds)


def test_an_observer_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Counting):
        def results(self, results: Sequence[Result]) -> None:
            raise OSError("the disk is full")

    with running(observer=Failing()) as one:
        found = one.run(one.online.read(PICTURES, timeout_s=60))
    check_same(found, expected_of("greedy", True))
    assert "the disk is full" in caplog.text


def test_pictures_of_many_callers_share_a_batch() -> None:
    seen = Counting()
    with running(replace(CONFIG, batch_wait_ms=1000), seen) as one:
        data = PICTURES[0]

        async def read() -> None:
            await asyncio.gather(*(one.online.read([data], timeout_s=60) for _ in range(8)))

        one.run(read())
    assert len(seen.batches) < 8
