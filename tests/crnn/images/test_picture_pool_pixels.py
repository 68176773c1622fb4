"""Pixels as they are from the pool: those of a program that decodes and cuts out itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import PictureError
from crnn.images.contract import SMALLEST, Pixels, decode_pixels
from crnn.images.prepare import prepare
from crnn.images.region import AT_ONCE_PIXELS, Region, cut, from_box, portions
from crnn.images.sandbox import work as shared
from crnn.images.sandbox.pool import Decoded, Encoded, PicturePool
from crnn.images.sandbox.wire import Cut
from crnn.images.sandbox.work import PoolWork, Task
from tests.crnn import poison

BOX, ASLANT = from_box(2, 3, 17, 11), (2.0, 12.0, 10.0, 4.0, 14.0, 8.0, 6.0, 16.0)
FAR, THIN = from_box(9000, 0, 9100, 20), from_box(1, 1, 1.2, 9)
REGIONS: tuple[Region | None, ...] = (None, BOX, ASLANT, FAR, THIN)


def here(data: bytes, region: Region | None) -> Pixels | PictureError:
    try:
        pixels = decode_pixels(data)
        return pixels if region is None else cut(pixels, region)
    except PictureError as error:
        return error


def assert_same(found: Decoded, expected: Pixels | PictureError) -> None:
    if isinstance(expected, PictureError):
        assert isinstance(found, PictureError)
        assert (found.reason, str(found)) == (expected.reason, str(expected))
    else:
        assert isinstance(found, np.ndarray) and found.flags.c_contiguous
        assert np.array_equal(found, expected)


def test_pixels_and_regions_are_those_of_a_program_that_decodes_itself() -> None:
    files = poison.good_pictures(120)
    with PicturePool(SMALLEST, processes=2) as pool:
        asked = [Encoded(data=data, regions=REGIONS, cut=True) for data in files]
        for data, found in zip(files, pool.decode(asked), strict=True):
            for region, pixels in zip(REGIONS, found, strict=True):
                assert_same(pixels, here(data, region))


@pytest.mark.parametrize("small_here", [False, True])
def test_bad_ones_end_as_they_may_and_files_of_both_kinds_come_in_order(small_here: bool) -> None:
    corpus = {n: bad for n, bad in poison.corpus().items() if n != "decompression_bomb"}
    good = poison.good_pictures(len(corpus))
    files = [
        Encoded(data=data, cut=cut)
        for bad, data in zip(corpus.values(), good, strict=True)
        for data, cut in ((bad.data, True), (data, False), (data, True))
    ]
    with PicturePool(SMALLEST) as pool:
        found = [one for [one] in pool.decode(iter(files), small_here=small_here)]
    for place, (name, bad) in enumerate(corpus.items()):
        entry = found[3 * place]
        reason = entry.reason if isinstance(entry, PictureError) else None
        assert bad.allows(reason), name
        if reason not in poison.HEAVY:
            assert_same(entry, here(bad.data, None))
        prepared, pixels = found[3 * place + 1], found[3 * place + 2]
        expected = prepare(good[place], SMALLEST)
        assert not isinstance(prepared, (PictureError, np.ndarray))
        assert np.array_equal(prepared.pixels, expected.pixels)
        assert_same(pixels, here(good[place], None))


def test_who_takes_them_slowly_makes_processes_wait_and_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "WAITING_BYTES", 1)
    files = [poison.encoded(poison.noise(900, 600, seed), "PNG") for seed in range(12)]
    with PicturePool(SMALLEST, timeout_s=0.5) as pool:
        for number, [found] in enumerate(pool.decode(Encoded(data=f, cut=True) for f in files)):
            assert_same(found, here(files[number], None))
            if number == 2:
                time.sleep(1.5)  # longer than a file may take
        left = pool.decode(Encoded(data=data, cut=True) for data in files)
        next(left)
        left.close()  # type: ignore[attr-defined]  # a generator
        assert len(list(pool.decode(Encoded(data=data, cut=True) for data in files))) == 12


def test_handlers_pause_while_enough_waits_and_nobody_waits_for_more() -> None:
    work, events = PoolWork(1), list[str]()
    task, other = (Task(b"x", (Cut(None),), 0) for _ in range(2))
    task.results.append(np.zeros(shared.WAITING_BYTES + 1, np.uint8))
    assert not work.wait_for_room()
    work.finish([task])

    def handle() -> None:
        assert work.wait_for_room()
        events.append("room")
        other.results.append(np.zeros(1, np.uint8))
        work.finish([other])

    handler = threading.Thread(target=handle)
    handler.start()
    work.wait_for(other)
    handler.join()
    assert events == ["room"], "a caller that waits is served whatever is held"
    work.let_go([task, other])
    assert not work.wait_for_room()
    late = Task(b"x", (Cut(None),), 0)
    work.let_go([late])
    late.results.append(np.zeros(shared.WAITING_BYTES + 1, np.uint8))
    work.finish([late])
    assert not work.wait_for_room(), "what is taken before it is counted isn't held"


boxes = st.builds(from_box, *(st.floats(-1e9, 1e9, width=32) for _ in range(4)))


@given(regions=st.lists(st.none() | boxes | st.just((float("nan"),) * 8), min_size=1, max_size=40))
def test_portions_are_all_regions_in_order_and_each_has_its_bound(
    regions: list[Region | None],
) -> None:
    found = list(portions(regions))
    assert [one for some in found for one in regions[some]] == regions
    assert all(some.stop > some.start for some in found)
    few: Iterator[slice] = (some for some in found if some.stop - some.start > 1)
    for some in few:
        boxes = [region for region in regions[some] if region is not None]
        areas = [(one[2] - one[0]) * (one[5] - one[1]) for one in boxes]
        assert sum(area for area in areas if area <= 64e6) <= AT_ONCE_PIXELS
