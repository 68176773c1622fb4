"""The ledger without any reading: whatever is listed, and however often, is planned once."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import DataError
from pipelines.agenda import Agenda
from pipelines.ledger import Chunk
from pipelines.recognition.inputs import PAGE_ROWS, SCHEMA, pages
from pipelines.recognition.known import Known
from pipelines.recognition.plan import CHUNK_ROWS, FIRST_PLAN_CHUNKS, Ledger, Plan


def table(names: Iterable[str], etag: str = "1") -> pa.Table:
    rows = [{"uri": name, "etag": etag, "size": 1, "region": None} for name in names]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def crops(uri: str, count: int) -> pa.Table:
    rows = [
        {"uri": uri, "etag": "1", "size": 1, "region": [n, 0, n + 1, 0, n + 1, 1, n, 1]}
        for n in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def planned(ledger: Ledger, tables: Iterable[pa.Table]) -> list[Plan]:
    """What a run adds to the ledger."""
    return list(additions(ledger, tables))


def additions(ledger: Ledger, tables: Iterable[pa.Table]) -> Iterator[Plan]:
    known = Known(ledger.inputs(plan) for plan in reversed(ledger.plans()))
    return ledger.add(known.fresh(page) for page in pages(tables))


def in_plans(ledger: Ledger) -> list[dict]:
    return [
        row for plan in ledger.plans() for chunk in ledger.inputs(plan) for row in chunk.to_pylist()
    ]


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_pages_keep_the_rows_and_never_part_a_file(runs: list[int], cut: int) -> None:
    names = [f"file-{n}" for n, run in enumerate(runs) for _ in range(run * 100)]
    whole = table(names)
    parts = [whole.slice(start, cut * 97) for start in range(0, len(whole), cut * 97)]
    found = list(pages(parts))
    assert [name for page in found for name in page["uri"].to_pylist()] == names
    for page, following in itertools.pairwise(found):
        assert len(page) >= PAGE_ROWS
        assert page["uri"][-1] != following["uri"][0]
        short = page.slice(0, PAGE_ROWS)
        assert len(page) == PAGE_ROWS or len(set(page["uri"].to_pylist()[PAGE_ROWS - 1 :])) == 1
        assert len(short) == PAGE_ROWS


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 3000), st.sampled_from("12")), max_size=8),
            st.integers(0, 4),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=12, deadline=None)
def test_listings_cut_anywhere_plan_every_input_once(
    runs: list[tuple[list[tuple[int, str]], int]],
) -> None:
    """Each run sees all files, some in a new version, and is killed after so many plans."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder, "0" * 16)
        etags = dict.fromkeys((f"{n:05d}" for n in range(0, 9000, 2)), "0")
        for changes, kept_plans in [*runs, ([], 99)]:
            etags |= {f"{n:05d}": etag for n, etag in changes}
            names = sorted(etags)
            versions = pa.array([etags[name] for name in names])
            whole = table(names).set_column(SCHEMA.get_field_index("etag"), "etag", versions)
            for _ in itertools.islice(additions(ledger, [whole, whole]), kept_plans):
                pass
        last: dict[str, dict] = {}
        for row in in_plans(ledger):
            assert row["replaces"] == (row["uri"] in last)
            assert row["uri"] not in last or last[row["uri"]]["etag"] != row["etag"]
            last[row["uri"]] = row
        assert {uri: row["etag"] for uri, row in last.items()} == etags
        assert planned(ledger, [whole]) == []


def test_an_address_named_twice_is_planned_once(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), "0" * 16)
    planned(ledger, [table(["a", "b", "a"]), table(["b", "c"], "2")])
    assert [(row["uri"], row["etag"]) for row in in_plans(ledger)] == [
        ("a", "1"),
        ("b", "1"),
        ("c", "2"),
    ]


def test_regions_of_a_page_are_inputs_of_their_own_in_one_chunk(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), "0" * 16)
    both = [crops("page-1", CHUNK_ROWS + 90), crops("page-2", 10), table(["page-2"])]
    (plan,) = planned(ledger, both)
    assert plan.groups == (CHUNK_ROWS + 90, 11)
    assert planned(ledger, both) == []
    assert [len(t) for t in ledger.inputs(plan)] == list(plan.groups)


def test_the_first_plan_is_short_and_the_next_are_longer(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), "0" * 16)
    count = CHUNK_ROWS * FIRST_PLAN_CHUNKS * 4
    plans = planned(ledger, [table(f"{n:06d}" for n in range(count))])
    assert [len(plan.groups) for plan in plans] == [8, 16, 8]
    assert {len(c) for plan in plans for c in ledger.inputs(plan)} == {CHUNK_ROWS}
    assert [p.groups for p in ledger.plans()] == [p.groups for p in plans]
    assert not any(plan.replaces for plan in ledger.plans())


def test_chunks_are_handed_out_while_the_listing_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), "0" * 16)
    count = CHUNK_ROWS * FIRST_PLAN_CHUNKS * 4
    taken_up = threading.Event()

    def listing() -> Iterator[pa.Table]:
        yield table(f"{n:06d}" for n in range(count // 2))
        taken_up.wait()  # a slow store: nothing more before the first chunks are taken
        yield table(f"{n:06d}" for n in range(count // 2, count))

    agenda = Agenda([], additions(ledger, listing()))
    taken: list[Chunk] = []
    while not taken:
        agenda.wait()
        taken += agenda.take()
    assert not agenda.complete
    taken_up.set()
    while not (agenda.wait() and agenda.complete):
        taken += agenda.take()
    taken += agenda.take()
    assert agenda.rows == sum(chunk.rows for chunk in taken) == count
    assert max(Counter(chunk.part for chunk in taken).values()) == 1


def test_a_listing_that_breaks_off_is_an_error_after_what_it_gave(tmp_path: Path) -> None:
    def listing() -> Iterator[pa.Table]:
        yield table(f"{n:06d}" for n in range(CHUNK_ROWS * FIRST_PLAN_CHUNKS + 1))
        raise DataError("the store is gone")

    ledger = Ledger(str(tmp_path), "0" * 16)
    agenda = Agenda([], additions(ledger, listing()))
    while not agenda.complete:
        agenda.wait()
    assert len(agenda.take()) == FIRST_PLAN_CHUNKS
    with pytest.raises(DataError, match="the store is gone"):
        agenda.take()


def test_two_jobs_at_once_don_t_share_a_plan(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), "0" * 16)
    first = additions(ledger, [table(["a"])])
    second = additions(ledger, [table(["b"])])
    assert len(list(first)) == 1
    assert [plan.number for plan in second] == [1]
    stale = ledger.add(iter([Known([]).fresh(table(["c"]))]))
    other = Ledger(str(tmp_path), "0" * 16)
    gathered = other.add(_after(stale, table(["d"])))
    with pytest.raises(DataError, match="another job"):
        list(gathered)


def _after(first: Iterator[Plan], page: pa.Table) -> Iterator[pa.Table]:
    """A page that comes when another job has written its plans."""
    list(first)
    yield Known([]).fresh(page)
