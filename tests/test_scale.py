"""The arithmetic of docs/scale.md, and the driver's code that it drives."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sides import scale_costs, scale_driver
from bench.sides.scale_costs import fitted
from pipelines.agenda import WINDOW_CHUNKS
from pipelines.recognition.plan import CHUNK_ROWS
from pipelines.shards import ROW_GROUP_ROWS
from pipelines.stream.plan import CHUNK_ROWS as STREAM_ROWS

ROOT = Path(__file__).resolve().parent.parent
KEPT = json.loads((ROOT / "docs" / "scale.json").read_text())


@given(st.floats(1e-9, 1e-3), st.floats(0, 1e-9))
def test_a_fit_finds_what_made_its_points(linear: float, square: float) -> None:
    points = {n: linear * n + square * n * n for n in (10**5, 10**6, 10**7)}
    found = fitted(points)
    assert found.at(10**9) == pytest.approx(linear * 1e9 + square * 1e18, rel=1e-4)
    assert found.error == pytest.approx(0, abs=1e-4)


def test_a_fit_tells_how_far_it_was_from_its_largest_point() -> None:
    points = {10**5: 1.0, 10**6: 10.0, 10**7: 200.0}  # twice what the first two promise
    assert fitted(points).error == pytest.approx(0.5)
    with pytest.raises(ValueError, match="at least 3"):
        fitted({1: 1.0, 2: 2.0})


@given(st.integers(1, 64), st.floats(0.01, 10), st.floats(0, 0.1))
def test_a_window_takes_as_long_as_its_work_at_least(
    processes: int, chunk_s: float, task_s: float
) -> None:
    window_s = scale_costs.window_seconds(processes, chunk_s, task_s, 1.0)
    assert window_s >= 1.0 + WINDOW_CHUNKS * chunk_s / processes - 1e-6
    assert window_s >= scale_costs.window_seconds(processes, chunk_s, 0.0, 1.0) - 1e-6


def test_one_process_does_nothing_but_its_work() -> None:
    assert scale_costs.window_seconds(1, 0.5, 0.0, 0.0) == pytest.approx(WINDOW_CHUNKS * 0.5)


def test_a_picture_was_asked_for_twice_and_a_chunk_written_once() -> None:
    store = KEPT["store"]
    assert store["bulk GET crops"] == store["pictures"]
    assert 0 <= store["bulk HEAD crops"] - store["pictures"] <= 1  # is it a prepared set?
    assert store["bulk PUT results"] == store["chunks"] == ceil(store["pictures"] / CHUNK_ROWS)


def test_requests_are_a_listing_two_a_picture_and_some_a_chunk() -> None:
    requests = scale_costs.bulk_requests(10**6, KEPT["store"])
    chunks = ceil(10**6 / CHUNK_ROWS)
    assert requests["LIST"] == 1000 + 2 * ceil(chunks / 1000)
    assert 2 * 10**6 < requests["GET"] + requests["HEAD"] < 2 * 10**6 + 20 * chunks
    assert chunks < requests["PUT"] < 1.1 * chunks
    fewer = scale_costs.bulk_requests(10**6, KEPT["store"], 8 * CHUNK_ROWS)
    assert fewer["PUT"] < requests["PUT"] / 7
    groups = ceil(10**6 / ROW_GROUP_ROWS)
    assert scale_costs.stream_requests(10**6, KEPT["store"])["GET"] >= groups


def test_drivers_own_code_plans_every_made_up_entry_once() -> None:
    entries = 5 * CHUNK_ROWS + 7
    found = scale_driver.bulk(entries, 4)
    assert found["chunks"] == ceil(entries / CHUNK_ROWS)
    assert found["tasks"] <= found["chunks"]
    assert found["known_s"] > 0


def test_drivers_own_code_plans_every_made_up_row_group_once() -> None:
    found = scale_driver.stream(50 * ROW_GROUP_ROWS, 3700)
    assert found["row_groups"] == 50
    assert found["chunks"] == ceil(50 / ceil(STREAM_ROWS / ROW_GROUP_ROWS))
