"""Hostile pictures among good ones, and decoding processes that die: nobody else is harmed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from crnn.errors import PictureError
from crnn.images.contract import PictureContract
from crnn.images.prepare import Prepared, prepare, small_picture
from crnn.images.region import Region, from_box
from crnn.images.sandbox.pool import Encoded, PicturePool
from tests.crnn import poison
from tests.crnn.moments import until

CONTRACT = PictureContract()
MB = 1 << 20
Entry = Prepared | PictureError


@pytest.fixture(scope="module")
def pool() -> Iterator[PicturePool]:
    with PicturePool(CONTRACT, processes=2) as pool:
        yield pool


def in_process(
    data: bytes, contract: PictureContract = CONTRACT, region: Region | None = None
) -> Entry:
    try:
        return prepare(data, contract, region=region)
    except PictureError as error:
        return error


def same(found: Entry, expected: Entry) -> bool:
    if isinstance(found, PictureError) or isinstance(expected, PictureError):
        return (
            isinstance(found, PictureError)
            and isinstance(expected, PictureError)
            and (found.reason, str(found)) == (expected.reason, str(expected))
        )
    geometry = ("content_width_px", "source_width_px", "source_height_px", "squeezed", "turned")
    sideways = (found.sideways_HwC, expected.sideways_HwC)
    if any(side is None for side in sideways):
        assert sideways == (None, None)
    elif not np.array_equal(*sideways):  # type: ignore[arg-type]
        return False
    return np.array_equal(found.pixels, expected.pixels) and all(
        getattr(found, name) == getattr(expected, name) for name in geometry
    )


def code(entry: Entry) -> str | None:
    return entry.reason if isinstance(entry, PictureError) else None


def whole(files: Sequence[bytes]) -> Iterator[Encoded]:
    return (Encoded(data=data) for data in files)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pool_gives_in_order_what_prepare_gives(channels: int) -> None:
    contract = PictureContract(channels=channels)
    files = poison.good_pictures(200)
    with PicturePool(contract, processes=2) as pool:
        for _ in range(2):
            found = list(pool.prepare(whole(files)))
            assert all(
                same(entry, in_process(data, contract))
                for [entry], data in zip(found, files, strict=True)
            )
    first = found[0][0]
    assert isinstance(first, Prepared)
    assert first.pixels.flags.writeable and first.pixels.flags.c_contiguous


def test_every_bad_picture_ends_as_it_may_and_its_neighbours_are_read(pool: PicturePool) -> None:
    corpus = poison.corpus()
    good = poison.good_pictures(len(corpus) + 1)
    bad_ones = [bad.data for bad in corpus.values()]
    mixed = [data for pair in zip(good, bad_ones, strict=False) for data in pair]
    found = [entries[0] for entries in pool.prepare(whole([*mixed, good[-1]]))]
    wrong = {
        name: found[2 * number + 1]
        for number, (name, bad) in enumerate(corpus.items())
        if not bad.allows(code(found[2 * number + 1]))
    }
    assert not wrong
    for entry, data in zip(found[::2], good, strict=True):
        assert same(entry, in_process(data))
    for entry, bad in zip(found[1::2], corpus.values(), strict=False):
        if bad.codes == poison.READ:
            assert same(entry, in_process(bad.data))


def test_each_bad_picture_ends_alone_as_it_does_in_company(pool: PicturePool) -> None:
    for name, bad in poison.corpus().items():
        if name != "decompression_bomb":
            [[entry]] = pool.prepare([Encoded(data=bad.data)])
            assert bad.allows(code(entry)), name
            assert same(entry, in_process(bad.data)) or code(entry) in poison.HEAVY, name


def test_small_ones_decoded_by_the_caller_are_the_same_and_need_no_process() -> None:
    good = poison.good_pictures(100)
    plain = [data for data in good if small_picture(data) is not None]
    assert 25 < len(plain) < len(good)
    with PicturePool(CONTRACT) as pool:
        found = [entries[0] for entries in pool.prepare(whole(plain), small_here=True)]
        assert all(same(entry, in_process(data)) for entry, data in zip(found, plain, strict=True))
        assert not pool.process_ids()
        mixed = [
            data
            for one, bad in zip(good, poison.corpus().values(), strict=False)
            for data in (one, bad.data)
        ]
        apart = [entries[0] for entries in pool.prepare(whole(mixed))]
        here = [entries[0] for entries in pool.prepare(whole(mixed), small_here=True)]
        assert pool.process_ids()
    assert all(map(same, here, apart))


def test_a_small_one_decoded_by_the_caller_is_pulled_when_it_is_wanted(pool: PicturePool) -> None:
    pulled = 0

    def files() -> Iterator[Encoded]:
        nonlocal pulled
        for data in poison.good_pictures(100):
            if small_picture(data) is not None:
                pulled += 1
                yield Encoded(data=data)

    for taken, _ in enumerate(pool.prepare(files(), small_here=True), start=1):
        assert pulled == taken


class PeakMemory(threading.Thread):
    """The largest resident size of any of a pool's processes, by the kernel's count."""

    def __init__(self, pool: PicturePool) -> None:
        super().__init__()
        self._pool, self._over = pool, threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._over.wait(0.002):
            for pid in self._pool.process_ids():
                self.peak_bytes = max(self.peak_bytes, self._of(pid))

    def _of(self, pid: int) -> int:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return 0
        lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) * 1024 if lines else 0

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.peak_bytes


def test_memory_is_bounded_and_a_picture_that_needs_more_is_an_error() -> None:
    good = poison.good_pictures(60)
    bomb = poison.corpus()["decompression_bomb"].data
    files = [*good[:30], poison.memory_hog(), *good[30:50], bomb, *good[50:]]
    limit = 100 * MB
    with PicturePool(CONTRACT, memory_bytes=limit) as pool:
        watch = PeakMemory(pool)
        watch.start()
        found = [entries[0] for entries in pool.prepare(whole(files))]
        peak_bytes = watch.stop()
    for number, entry in enumerate(found):
        if number in (30, 51):
            assert isinstance(entry, PictureError) and entry.reason == "out_of_memory"
            assert f"{limit} bytes" in str(entry)
        else:
            assert same(entry, in_process(files[number]))
    imports_bytes = 100 * MB
    assert 0 < peak_bytes < imports_bytes + limit


def test_a_picture_that_takes_too_long_is_an_error_and_its_neighbours_are_read() -> None:
    good = poison.good_pictures(90)
    files = [*good[:40], poison.time_hog(), *good[40:]]
    with PicturePool(CONTRACT, processes=2, timeout_s=3.0) as pool:
        found = [entries[0] for entries in pool.prepare(whole(files))]
    assert isinstance(found[40], PictureError) and found[40].reason == "decoder_timeout"
    assert "within 3 s" in str(found[40])
    assert all(same(found[n], in_process(files[n])) for n in range(len(files)) if n != 40)


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.fault
def test_a_picture_whose_process_dies_twice_is_an_error_and_its_neighbours_are_read() -> None:
    good = poison.good_pictures(90)
    files = [*good[:40], poison.time_hog(), *good[40:]]
    killed: list[int] = []

    def kill_whoever_is_at_it() -> None:
        while len(killed) < 2:
            for pid in pool.process_ids():
                if pid not in killed and cpu_seconds(pid) > 1.0:  # far more than all others take
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.01)

    with PicturePool(CONTRACT) as pool:
        killer = threading.Thread(target=kill_whoever_is_at_it)
        killer.start()
        found = [entries[0] for entries in pool.prepare(whole(files))]
        killer.join()
    assert isinstance(found[40], PictureError) and found[40].reason == "decoder_died"
    assert "SIGKILL" in str(found[40])
    assert all(same(found[n], in_process(files[n])) for n in range(len(files)) if n != 40)


def kill_if_alive(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.fault
def test_processes_killed_at_any_moment_lose_nothing() -> None:
    files = poison.good_pictures(150)
    expected = [in_process(data) for data in files]
    rng = random.Random(3)
    employed: set[int] = set()
    with PicturePool(CONTRACT, processes=2) as pool:
        pool.start()
        for _ in range(8):  # one kill a round: a second one could hit the same picture's retry
            until(lambda: len(pool.process_ids()) == 2)
            victim = rng.choice(pool.process_ids())
            employed |= set(pool.process_ids())
            kill = threading.Timer(rng.uniform(0, 0.05), kill_if_alive, (victim,))
            kill.start()
            found = [entries[0] for entries in pool.prepare(whole(files))]
            kill.join()
            assert all(map(same, found, expected))
    assert len(employed) >= 4


def test_a_file_is_cut_into_its_regions_and_a_bad_one_is_an_error_by_itself() -> None:
    page = poison.encoded(poison.noise(300, 200))
    regions = (
        from_box(10, 20, 90, 60),
        None,
        from_box(400, 20, 500, 60),
        (50.5, 20.0, 120.0, 40.0, 110.0, 70.0, 40.0, 50.0),
    )
    with PicturePool(CONTRACT) as pool:
        found, broken, gone, none = pool.prepare(
            [
                Encoded(data=page, regions=regions),
                Encoded(data=page[:200], regions=regions),
                Encoded(data=PictureError("not_found", "no file"), regions=regions),
                Encoded(data=page, regions=()),
            ]
        )
    assert [code(entry) for entry in found] == [None, None, "bad_region", None]
    assert all(map(same, found, [in_process(page, region=region) for region in regions]))
    assert [code(entry) for entry in broken] == ["undecodable"] * 4
    assert [(code(entry), str(entry)) for entry in gone] == [("not_found", "no file")] * 4
    assert none == []


def test_the_source_is_pulled_lazily_and_its_bytes_are_bounded(pool: PicturePool) -> None:
    pulled = 0

    def big_files() -> Iterator[Encoded]:
        nonlocal pulled
        for _ in range(60):
            pulled += 1
            yield Encoded(data=bytes(8 * MB))

    ahead = [pulled - taken for taken, _ in enumerate(pool.prepare(big_files()))]
    assert len(ahead) == 60
    assert max(ahead) <= 2 * 64 // 8 + 1


def test_the_pool_goes_on_after_half_a_stream_and_after_a_broken_source(pool: PicturePool) -> None:
    files = poison.good_pictures(200)
    half = pool.prepare(whole(files))
    assert same(next(half)[0], in_process(files[0]))
    half.close()

    def broken() -> Iterator[Encoded]:
        yield from whole(files[:20])
        raise OSError("the source broke")

    with pytest.raises(OSError, match="the source broke"):
        list(pool.prepare(broken()))
    found = [entries[0] for entries in pool.prepare(whole(files))]
    assert all(same(entry, in_process(data)) for entry, data in zip(found, files, strict=True))


def test_two_streams_share_a_pool(pool: PicturePool) -> None:
    files = poison.good_pictures(100)
    streams = zip(
        pool.prepare(whole(files)), pool.prepare(whole(list(reversed(files)))), strict=True
    )
    for number, ([one], [other]) in enumerate(streams):
        assert same(one, in_process(files[number]))
        assert same(other, in_process(files[-1 - number]))


def test_files_handed_in_alone_are_promised_the_same_from_any_thread(pool: PicturePool) -> None:
    files = [*poison.good_pictures(20), b"", *(bad.data for bad in poison.corpus().values())]
    with ThreadPoolExecutor(4) as threads:
        promises = list(threads.map(lambda data: pool.submit(Encoded(data=data)), files))
    for data, promise in zip(files, promises, strict=True):
        (found,) = promise.result(timeout=60)
        if isinstance(found, Prepared) or found.reason in ("empty_file", "undecodable"):
            assert same(found, in_process(data))


def test_a_promise_that_is_cancelled_or_lost_is_kept_from_nobody_else() -> None:
    picture = Encoded(data=poison.good_pictures(1)[0])
    with PicturePool(CONTRACT, timeout_s=20) as pool:
        hog = pool.submit(Encoded(data=poison.time_hog()))
        waiting = [pool.submit(picture) for _ in range(200)]
        cancelled = [promise for promise in waiting[100:] if promise.cancel()]
        pool.close()
        assert cancelled
        for promise in {hog, *waiting} - set(cancelled):
            assert promise.done()
        with pytest.raises(ValueError, match="closed"):
            waiting[99].result()
        with pytest.raises(ValueError, match="closed"):
            pool.submit(picture)


def test_pictures_over_the_pixels_allowed_are_refused_by_their_header() -> None:
    small, large = (poison.encoded(poison.noise(side, side)) for side in (10, 11))
    with PicturePool(CONTRACT, max_pixels=100) as pool:
        ((fits,), (over,)) = pool.prepare([Encoded(data=small), Encoded(data=large)])
    assert isinstance(fits, Prepared)
    assert code(over) == "too_large"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"processes": 0}, "processes is 0"),
        ({"memory_bytes": 0}, "memory_bytes is 0"),
        ({"timeout_s": 0.0}, r"timeout_s is 0\.0"),
    ],
)
def test_pools_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PicturePool(CONTRACT, **options)


def test_a_region_has_eight_numbers() -> None:
    with pytest.raises(ValueError, match="8 numbers"):
        Encoded(data=b"", regions=((1.0, 2.0, 3.0, 4.0),))  # type: ignore[arg-type]
