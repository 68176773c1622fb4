"""What is taken in is bounded, and comes to an end whatever happens."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from crnn import Result
from crnn.decode import Decoded
from crnn.errors import (
    ClosedError,
    DeadlineError,
    EngineError,
    QueueFullError,
    WorkersLostError,
)
from crnn.images.sandbox.handler import FAILED_STARTS
from crnn.online import OnlineConfig, OnlineRecognizer
from crnn.text.charset import Charset
from tests.crnn import poison
from tests.crnn.networks import bundle_of, sharp_model
from tests.crnn.online.callers import (
    BUNDLE,
    CONFIG,
    OFFLINE,
    check_same,
    held_up,
    running,
    until,
)
from tests.jobs.processes import look

GOOD = poison.good_pictures(40)


@cache
def expected() -> list[Result]:
    return OFFLINE.read(GOOD)


def test_more_pictures_or_bytes_than_the_queue_holds_are_refused_at_once() -> None:
    with running(replace(CONFIG, queue_pictures=10, queue_mb=1)) as one:
        online = one.online

        async def fill() -> None:
            with held_up(online):
                first = asyncio.ensure_future(online.read(GOOD[:8], timeout_s=60))
                await until(lambda: online.pictures == 8)
                with pytest.raises(QueueFullError, match=r"8 pictures .* 10 .*allowed") as refused:
                    await online.read(GOOD[8:11], timeout_s=60)
                assert 0 < refused.value.retry_after_s <= 60
                second = asyncio.ensure_future(online.read(GOOD[8:10], timeout_s=60))
                await until(lambda: online.pictures == 10)
                with pytest.raises(QueueFullError):
                    await online.read(GOOD[:1], timeout_s=60)
            check_same(await first + await second, expected()[:10])
            with held_up(online):
                big = asyncio.ensure_future(online.read([bytes(800_000)], timeout_s=60))
                await until(lambda: online.pictures == 1)
                with pytest.raises(QueueFullError, match="bytes"):
                    await online.read([bytes(300_000)], timeout_s=60)
            assert [result.error_code for result in await big] == ["undecodable"]
            with pytest.raises(ValueError, match=r"11 pictures in one call.* at most 10"):
                await online.read(GOOD[:11], timeout_s=60)
            with pytest.raises(ValueError, match="bytes in one call"):
                await online.read([bytes(2 << 20)], timeout_s=60)
            check_same(await online.read(GOOD[:10], timeout_s=60), expected()[:10])

        one.run(fill())
        assert online.pictures == 0


def test_a_call_that_is_late_or_cancelled_frees_its_places_and_the_others_are_read() -> None:
    with running(replace(CONFIG, queue_pictures=40)) as one:
        online = one.online

        async def call() -> None:
            with held_up(online):
                kept = asyncio.ensure_future(online.read(GOOD[:10], timeout_s=60))
                gone = asyncio.ensure_future(online.read(GOOD[10:20], timeout_s=60))
                with pytest.raises(DeadlineError, match=r"20 pictures .* within 0\.05 s"):
                    await online.read(GOOD[:20], timeout_s=0.05)
                assert online.pictures == 20
                gone.cancel()
                await asyncio.wait([gone])
                assert online.pictures == 10
            check_same(await kept, expected()[:10])
            check_same(await online.read(GOOD, timeout_s=60), expected())

        one.run(call())
        assert online.pictures == 0


@pytest.mark.fault
def test_decoding_processes_that_are_killed_cost_nobody_a_result() -> None:
    with running(replace(CONFIG, decode_processes=2)) as one:
        online = one.online
        online.warm_up()

        async def read() -> None:
            for turn in range(FAILED_STARTS - 1):  # none can die more often before it is ready
                calls = [online.read(GOOD[n : n + 4], timeout_s=60) for n in range(0, 40, 4)]
                reading = asyncio.gather(*calls)
                await asyncio.sleep(0.004 * turn)
                for pid in online.process_ids():
                    os.kill(pid, signal.SIGKILL)
                check_same(list(chain.from_iterable(await reading)), expected())

        one.run(read())
        assert online.failure is None


@pytest.mark.fault
def test_processes_that_cannot_start_fail_every_call_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as one:
        online = one.online
        online.warm_up()
        (tmp_path / "cv2.py").write_text("raise ImportError('this one is broken')\n")
        monkeypatch.syspath_prepend(tmp_path)  # where new processes find modules

        async def read() -> None:
            with held_up(online):
                waiting = asyncio.ensure_future(online.read(GOOD, timeout_s=60))
                await until(lambda: online.pictures)
                for pid in online.process_ids():
                    os.kill(pid, signal.SIGKILL)
            with pytest.raises(WorkersLostError, match="this one is broken"):
                await waiting
            assert isinstance(online.failure, WorkersLostError)
            with pytest.raises(WorkersLostError, match="this one is broken"):
                await online.read(GOOD[:1], timeout_s=60)

        one.run(read())
        assert online.pictures == 0


def test_an_engine_that_fails_is_an_error_of_its_batch_and_in_the_end_of_all() -> None:
    model = sharp_model()
    broken = OnlineRecognizer(bundle_of(model), CONFIG)
    whole = model.head.weight.data
    pool_width = whole.shape[1]

    async def read() -> None:
        check_same(await broken.read(GOOD[:5], timeout_s=60), expected()[:5])
        model.head.weight.data = torch.zeros(whole.shape[0], pool_width + 1)
        for _ in range(2):
            with pytest.raises(EngineError, match="'torch' failed on 1 pictures of"):
                await broken.read(GOOD[:1], timeout_s=60)
        model.head.weight.data = whole
        check_same(await broken.read(GOOD[:5], timeout_s=60), expected()[:5])
        assert broken.failure is None
        model.head.weight.data = torch.zeros(whole.shape[0], pool_width + 1)
        for _ in range(3):
            with pytest.raises(EngineError):
                await broken.read(GOOD[:1], timeout_s=60)
        await until(lambda: broken.failure)
        with pytest.raises(WorkersLostError, match="3 times in a row"):
            await broken.read(GOOD[:1], timeout_s=60)
        await broken.aclose()

    asyncio.run(read())


def test_a_decoder_that_fails_is_an_error_of_its_caller_alone() -> None:
    def failing(log_probs_TNC: torch.Tensor, charset: Charset) -> list[Decoded]:
        raise KeyError("no such word")

    with running() as one:

        async def read() -> None:
            bad = one.online.read(GOOD, timeout_s=60, decoder=failing)
            good = one.online.read(GOOD, timeout_s=60)
            found = await asyncio.gather(bad, good, return_exceptions=True)
            assert isinstance(found[0], KeyError)
            assert isinstance(found[1], list)
            check_same(found[1], expected())

        one.run(read())


def test_closing_answers_what_was_taken_in_and_leaves_no_process() -> None:
    async def read() -> None:
        online = OnlineRecognizer(BUNDLE, CONFIG)
        with held_up(online):
            pids = online.process_ids()
            taken = asyncio.ensure_future(online.read(GOOD, timeout_s=60))
            await until(lambda: online.pictures)
            closing = asyncio.ensure_future(online.aclose())
            await asyncio.sleep(0)
            with pytest.raises(ClosedError, match="use the one that replaced it"):
                await online.read(GOOD[:1], timeout_s=60)
        await closing
        check_same(await taken, expected())
        assert not any(map(look, pids))
        await online.aclose()

    asyncio.run(read())


def test_one_that_is_closed_leaves_nothing_behind() -> None:
    async def read() -> None:
        online = OnlineRecognizer(BUNDLE, CONFIG)
        check_same(await online.read(GOOD, timeout_s=60), expected())
        await online.aclose()
        assert not [t for t in threading.enumerate() if t.name.startswith("online-")]
        left.append(weakref.ref(online))

    left: list[weakref.ref[OnlineRecognizer]] = []
    gc.disable()
    try:
        asyncio.run(read())
        assert left[0]() is None, "it is gone without a search for cycles"
    finally:
        gc.enable()


def test_closing_at_once_gives_those_that_wait_an_error() -> None:
    async def read() -> None:
        online = OnlineRecognizer(BUNDLE, CONFIG)
        with held_up(online):
            pids = online.process_ids()
            taken = [asyncio.ensure_future(online.read(GOOD, timeout_s=60)) for _ in range(3)]
            await until(lambda: online.pictures == 3 * len(GOOD))
            await asyncio.to_thread(online.close)
            for error in await asyncio.gather(*taken, return_exceptions=True):
                assert isinstance(error, ClosedError)
        assert online.pictures == 0
        assert not any(map(look, pids))

    asyncio.run(read())


def test_a_new_bundle_takes_over_while_the_old_one_drains() -> None:
    async def read() -> None:
        old, new = OnlineRecognizer(BUNDLE, CONFIG), OnlineRecognizer(BUNDLE, CONFIG)
        with held_up(old):
            taken = asyncio.ensure_future(old.read(GOOD, timeout_s=60))
            await until(lambda: old.pictures)
            closing = asyncio.ensure_future(old.aclose())
            check_same(await new.read(GOOD, timeout_s=60), expected())
        await closing
        check_same(await taken, expected())
        await new.aclose()

    asyncio.run(read())


def test_calls_that_make_no_sense_are_refused() -> None:
    with running() as one:
        online = one.online
        for arguments, message in (
            ({"pictures": GOOD, "timeout_s": 0}, "timeout_s is 0"),
            ({"pictures": GOOD, "timeout_s": float("nan")}, "timeout_s is nan"),
            ({"pictures": GOOD[0], "timeout_s": 1}, "each the bytes"),
            ({"pictures": ["a.png"], "timeout_s": 1}, "each the bytes"),
        ):
            with pytest.raises(ValueError, match=message):
                one.run(online.read(**arguments))  # type: ignore[arg-type]
        assert one.run(online.read([], timeout_s=1)) == []
        with pytest.raises(ValueError, match="one event loop"):
            asyncio.run(online.read(GOOD, timeout_s=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"engine_threads": -1}, "engine_threads is -1"),
        ({"queue_pictures": 0}, "queue_pictures is 0"),
        ({"batch_wait_ms": -1}, "batch_wait_ms is -1"),
        ({"decode_memory_mb": 10}, "decode_memory_mb is 10"),
        ({"decode_timeout_s": 0}, "decode_timeout_s is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OnlineConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "engines"),
    [
        ({}, 4),
        ({"threads": 2}, 2),
        ({"threads": 8}, 1),
        ({"device": "cuda"}, 1),
        ({"engine_threads": 3}, 3),
    ],
)
def test_there_are_as_many_engines_as_there_is_room_for(
    settings: dict[str, Any], engines: int
) -> None:
    assert OnlineConfig(**settings).engines(4) == engines
