"""The arithmetic of docs/scale.md, the page itself, and the driver's code that it measures."""

from __future__ import annotations

import json
import re
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import scale
from bench.sides import scale_costs, scale_rates
from bench.sides.scale_costs import Assumptions
from pipelines.agenda import WINDOW_CHUNKS
from pipelines.recognition.plan import CHUNK_ROWS
from tests.conftest import PROJECT_ROOT

DOCS = PROJECT_ROOT / "docs"
KEPT = json.loads((DOCS / "scale.json").read_text())
MEASURED = {**KEPT["rates"], **KEPT["overhead"], **KEPT["listing"], **KEPT["store"]}


def test_the_page_has_the_tables_that_the_command_prints() -> None:
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    for table in scale.show(Assumptions()).split("\n\n"):
        assert table in page


def test_the_bulk_job_s_share_of_the_limit_is_the_measured_one() -> None:
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    found = re.search(r"^\| files to Parquet, against decoding .*?\| (0\.\d\d) ", page, re.M)
    assert found and float(found[1]) == Assumptions().bulk_efficiency


@given(st.integers(1, 64), st.floats(0.01, 10), st.floats(0, 0.1))
def test_a_window_takes_as_long_as_its_work_at_least(
    processes: int, chunk_s: float, task_s: float
) -> None:
    window_s = scale_costs.window_seconds(processes, chunk_s, task_s, 1.0)
    assert window_s >= 1.0 + WINDOW_CHUNKS * chunk_s / processes - 1e-6
    assert window_s >= scale_costs.window_seconds(processes, chunk_s, 0.0, 1.0) - 1e-6


def test_one_process_does_nothing_but_its_work() -> None:
    assert scale_costs.window_seconds(1, 0.5, 0.0, 0.0) == pytest.approx(WINDOW_CHUNKS * 0.5)


def test_a_job_is_as_fast_as_the_slowest_of_what_it_needs() -> None:
    def rates(nodes: int, jobs: int, **assumed: float) -> dict[str, float]:
        assume = Assumptions(**assumed)  # type: ignore[arg-type]
        return scale_costs.bulk_rates(nodes, jobs, MEASURED, assume, planned_s=1e-5, is_list=True)

    assert rates(1, 1)["cores"] <= 16 * scale_costs.core_rate(MEASURED, Assumptions())
    assert list(rates(64, 1).values()) == sorted(rates(64, 1).values())
    assert next(iter(rates(4, 1, prefixes=1))) == "S3"
    assert rates(1, 16)["S3"] == rates(1, 1)["S3"] / 16
    assert rates(2, 1)["fetching"] == 2 * rates(1, 1)["fetching"]


def test_larger_batches_make_fewer_blocks_and_pauses_cost_fast_jobs_more() -> None:
    assume = Assumptions()
    one = scale_costs.stream_rates(1, MEASURED, assume)
    many = scale_costs.stream_rates(4, MEASURED, assume, 10 * scale.READY_BATCH_PIXELS)
    assert many["blocks"] == pytest.approx(10 * one["blocks"])
    assert many["GPUs"] == 4 * one["GPUs"]
    kept = [scale_costs.with_pauses(rate, assume) / rate for rate in (1e3, 1e4, 1e5)]
    assert 1 > kept[0] > kept[1] > kept[2] > 0


def test_a_picture_was_asked_for_once_and_a_chunk_written_once() -> None:
    store = KEPT["store"]
    assert store["GET crops"] == store["pictures"]
    assert 0 <= store["HEAD crops"] <= 5  # what is at the address?
    assert store["PUT model="] == store["chunks"] == ceil(store["pictures"] / CHUNK_ROWS)


def test_requests_are_a_listing_one_a_picture_and_some_a_chunk() -> None:
    requests = scale_costs.bulk_requests(10**6, KEPT["store"])
    chunks = ceil(10**6 / CHUNK_ROWS)
    assert requests["LIST"] == 1000 + ceil(chunks / 1000)
    assert 10**6 < requests["GET"] + requests["HEAD"] < 10**6 + 20 * chunks
    assert requests["PUT"] == chunks
    dollars = scale_costs.price({"LIST": 0, "PUT": 0, "GET": 1, "HEAD": 1}, Assumptions())
    assert dollars == pytest.approx(0.8e-6)


def test_drivers_own_code_plans_every_made_up_entry_once() -> None:
    found = scale_rates.driver(5 * CHUNK_ROWS + 7)
    assert found["chunks"] == 6
    assert found["again_s"] > 0
