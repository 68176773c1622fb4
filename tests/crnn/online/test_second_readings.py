"""The reading policy online: whoever reads beside, the answer is ``Recognizer.read``'s."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn import Recognizer, Result
from crnn.bundle.reading_policy import ReadingPolicy
from crnn.errors import QueueFullError
from crnn.online import OnlineRecognizer
from tests.crnn import poison
from tests.crnn.networks import noise
from tests.crnn.online.callers import BUNDLE, CONFIG, Running, check_same, running, until

READS_AGAIN = replace(BUNDLE, reading=ReadingPolicy(stretches=(1.3, 2.0), below=0.6))
OFFLINE = Recognizer(READS_AGAIN, engine="torch")
TALL = [noise(seed, 45, 90) for seed in (5, 6, 22, 23, 30)]
PICTURES = tuple(
    poison.encoded(Image.fromarray(pixels))
    for pixels in [*(noise(seed, 30 + 5 * seed) for seed in range(11)), *TALL]
)
DECODERS = {name: OFFLINE.decoder(name) for name in ("greedy", "beam")}
CALL = st.tuples(
    st.lists(st.integers(0, len(PICTURES) - 1), min_size=1, max_size=12),
    st.sampled_from(sorted(DECODERS)),
)


@cache
def expected(decoder: str) -> list[Result]:
    return OFFLINE.read(PICTURES, decoder=DECODERS[decoder])


@pytest.fixture(scope="module", params=[False, True], ids=["here", "apart"])
def side(request: pytest.FixtureRequest) -> Iterator[Running]:
    config = replace(CONFIG, engine_threads=2, decode_all_apart=request.param)
    with running(config, bundle=READS_AGAIN) as side:
        yield side


def test_some_pictures_are_turned_and_some_read_again() -> None:
    once = Recognizer(BUNDLE, engine="torch").read(PICTURES)
    assert {result.turned for result in expected("greedy")} >= {0, 90}
    changed = [a.text != b.text for a, b in zip(once, expected("greedy"), strict=True)]
    assert 2 < sum(changed) < len(PICTURES)


@settings(max_examples=12, deadline=None)
@given(calls=st.lists(CALL, min_size=1, max_size=8))
def test_every_caller_gets_what_he_would_get_alone(
    side: Running, calls: list[tuple[list[int], str]]
) -> None:
    async def all_at_once() -> None:
        found = await asyncio.gather(
            *(
                side.online.read(
                    [PICTURES[n] for n in numbers], decoder=DECODERS[name], timeout_s=60
                )
                for numbers, name in calls
            )
        )
        for results, (numbers, name) in zip(found, calls, strict=True):
            check_same(results, [expected(name)[n] for n in numbers])

    side.run(all_at_once())
    assert side.online.pictures == 0 and side.online.failure is None


def _holds(online: OnlineRecognizer, count: int) -> bool:
    return online.pictures == count


def test_long_lines_take_the_room_that_they_cost() -> None:
    """Two of 2,048 px are a queue of 32 words; more are let in together when they are alone."""
    contract = replace(BUNDLE.picture, widths=(64, 2048))
    line = poison.encoded(Image.fromarray(noise(1, 1600)))
    for apart in (False, True):
        config = replace(CONFIG, queue_pictures=32, decode_all_apart=apart)
        with running(config, bundle=replace(BUNDLE, picture=contract)) as one:
            online = one.online

            async def fill(online: OnlineRecognizer = online, apart: bool = apart) -> None:
                if not apart:  # known before they are decoded
                    first = asyncio.ensure_future(online.read([line] * 2, timeout_s=60))
                    await until(partial(_holds, online, 2))
                    with pytest.raises(QueueFullError, match=r"2 pictures .* count as 32 words"):
                        await online.read([line], timeout_s=60)
                    assert len(await first) == 2
                assert len(await online.read([line] * 4, timeout_s=60)) == 4  # alone

            one.run(fill())
            assert online.pictures == 0
