"""A cascade online: whoever reads beside, the answer is ``Cascade.read``'s."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crnn import Cascade, Result
from crnn.errors import BundleError, DeadlineError
from crnn.inference.doubt import Then
from crnn.online import Observer, OnlineRecognizer
from tests.crnn import poison
from tests.crnn.inference.test_cascade import BELOW, FIRST, SECOND, recognizer
from tests.crnn.networks import noise
from tests.crnn.online.callers import CONFIG, Running, check_same, running

THEN = Then(bundle=SECOND, below=BELOW)
OFFLINE = Cascade(recognizer(FIRST), recognizer(SECOND), below=BELOW)


def palette(pixels: object) -> bytes:
    """A PNG that only a process apart decodes."""
    return poison.encoded(Image.fromarray(pixels).convert("P"))  # type: ignore[arg-type]


PICTURES = (
    *(poison.encoded(Image.fromarray(noise(seed, 30 + 5 * seed))) for seed in range(12)),
    *(palette(noise(seed, 40 + seed)) for seed in range(4)),
    b"no picture",
)
NAMED = OFFLINE.first.decoder("greedy")
NAMES = ("greedy", "own")
CALL = st.tuples(
    st.lists(st.integers(0, len(PICTURES) - 1), min_size=1, max_size=12),
    st.sampled_from(NAMES),
)


@cache
def expected(decoder: str) -> list[Result]:
    return OFFLINE.read(PICTURES, decoder=None if decoder == "own" else decoder)


class Counting(Observer):
    """Counts what is answered, by the bundle that read it."""

    def __init__(self) -> None:
        self.models: Counter[str] = Counter()

    def results(self, results: Sequence[Result]) -> None:
        self.models.update(result.model for result in results)


@pytest.fixture(scope="module", params=[False, True], ids=["here", "apart"])
def side(request: pytest.FixtureRequest) -> Iterator[Running]:
    config = replace(CONFIG, engine_threads=2, decode_all_apart=request.param)
    with running(config, bundle=FIRST, then=THEN) as side:
        yield side


def test_both_bundles_read_some() -> None:
    for results in map(expected, NAMES):
        models = Counter(result.model for result in results)
        assert models[FIRST.digest] > 3 and models[SECOND.digest] > 3


@settings(max_examples=10, deadline=None)
@given(calls=st.lists(CALL, min_size=1, max_size=8))
def test_every_caller_gets_what_he_would_get_alone(
    side: Running, calls: list[tuple[list[int], str]]
) -> None:
    async def all_at_once() -> None:
        found = await asyncio.gather(
            *(
                side.online.read(
                    [PICTURES[n] for n in numbers],
                    decoder=NAMED if name == "greedy" else None,
                    timeout_s=60,
                )
                for numbers, name in calls
            )
        )
        for results, (numbers, name) in zip(found, calls, strict=True):
            check_same(results, [expected(name)[n] for n in numbers])

    side.run(all_at_once())
    assert side.online.pictures == 0 and side.online.failure is None


def test_each_picture_is_counted_once_by_the_bundle_that_read_it() -> None:
    counting = Counting()
    with running(observer=counting, bundle=FIRST, then=THEN) as one:
        one.online.warm_up()
        one.run(one.online.read(PICTURES, timeout_s=60))
        assert one.online.digest == OFFLINE.digest
        assert [bundle.digest for bundle, _ in one.online.engines()] == ["abc123", "def456"]
    assert counting.models == Counter(result.model for result in expected("own"))


def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    with running(bundle=FIRST, then=THEN) as one:

        async def give_up() -> list[Result]:
            with pytest.raises(DeadlineError):
                await one.online.read(list(PICTURES) * 20, timeout_s=0.001)
            return await one.online.read(PICTURES, timeout_s=60)

        check_same(one.run(give_up()), expected("own"))
        assert one.online.pictures == 0


def test_the_second_counts_only_where_it_is_surer_if_asked_for() -> None:
    offline = Cascade(recognizer(FIRST), recognizer(SECOND), below=1.0, surer=True)
    expected = offline.read(PICTURES)
    kept = [one for one in expected if one.model == FIRST.digest and one.error_code is None]
    assert 0 < len(kept) < len(PICTURES) - 1
    with running(bundle=FIRST, then=replace(THEN, below=1.0, surer=True)) as one:
        check_same(one.run(one.online.read(PICTURES, timeout_s=60)), expected)
        assert one.online.digest == offline.digest


def test_the_same_bundle_twice_is_refused() -> None:
    with pytest.raises(BundleError, match="both bundles of the cascade"):
        OnlineRecognizer(FIRST, CONFIG, then=Then(bundle=FIRST))
