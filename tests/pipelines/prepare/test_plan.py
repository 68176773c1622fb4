"""Plans: every entry once, the same whatever was written down before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crnn.errors import DataError
from pipelines.ledger import Chunk
from pipelines.output import PARTS_NAME
from pipelines.prepare.entries import Entry
from pipelines.prepare.plan import MOST_WINDOW, Planner, read_entries

RECIPE = {"shuffle_seed": 3, "part_rows": 0}


def entry(number: int, text: str = "") -> Entry:
    region = (0.5, 0, 9, 0, 9, 9, 0, 9.25) if number % 7 == 0 else None
    return Entry(f"i{number}", text, 0, "f", "", region, True, "", "", "s")


def planner(
    uri: Path, *, in_order: bool = False, overwrite: bool = False, **recipe: int
) -> Planner:
    (uri / PARTS_NAME).mkdir(parents=True, exist_ok=True)
    asked = {**RECIPE, **recipe}
    return Planner(str(uri), asked, in_order=in_order, done=False, overwrite=overwrite)


def fill(plan: Planner, entries: list[Entry], page: int = 1000) -> Iterator[Chunk]:
    for start in range(0, len(entries), page):
        for window in plan.add(entries[start : start + page]):
            yield from window.chunks()
    for window in plan.end():
        yield from window.chunks()


@pytest.mark.parametrize("count", [1, 2048, 2049, 7000, 150_000])
def test_every_entry_is_in_one_chunk(tmp_path: Path, count: int) -> None:
    entries = [entry(number) for number in range(count)]
    plan = planner(tmp_path)
    chunks = list(fill(plan, entries))
    held = [read for chunk in chunks for read in read_entries(chunk)]
    assert sorted(held) == sorted(entries)
    assert [chunk.part for chunk in chunks] == [f"part-{n:05d}" for n in range(len(chunks))]
    assert plan.parts == len(chunks)
    assert sum(chunk.rows for chunk in chunks) == plan.listed == count
    assert max(chunk.rows for chunk in chunks) <= MOST_WINDOW // 8
    assert count < 100 or held != entries


def test_the_order_is_the_lists_where_it_must_be(tmp_path: Path) -> None:
    entries = [entry(number) for number in range(5000)]
    for name, in_order, seed in (("a", True, 3), ("b", False, -1)):
        chunks = fill(planner(tmp_path / name, in_order=in_order, shuffle_seed=seed), entries)
        assert [read for chunk in list(chunks) for read in read_entries(chunk)] == entries


def test_a_plan_cut_short_is_gone_on_with_in_the_same_way(tmp_path: Path) -> None:
    entries = [entry(number) for number in range(9000)]
    whole = planner(tmp_path / "whole")
    chunks = list(fill(whole, entries))
    undisturbed = [(chunk.part, read_entries(chunk)) for chunk in chunks]

    half = planner(tmp_path / "cut")
    first = [c for window in half.add(entries[:5000]) for c in window.chunks()]
    (tmp_path / "cut" / PARTS_NAME / f"{first[1].part}.json").write_text("{}")
    again = planner(tmp_path / "cut")
    left = list(fill(again, entries, page=777))
    assert again.digest == whole.digest
    assert again.rows_done == first[1].rows
    parts = {chunk.part: read_entries(chunk) for chunk in [*left, first[1]]}
    assert sorted(parts.items()) == undisturbed


def test_a_source_that_changed_meanwhile_is_found_out(tmp_path: Path) -> None:
    entries = [entry(number) for number in range(5000)]
    list(fill(planner(tmp_path), entries))
    with pytest.raises(DataError, match=r"first 2,048 entries differ.*--overwrite"):
        list(fill(planner(tmp_path), [entry(0, "other"), *entries[1:]]))
    with pytest.raises(DataError, match="differ"):
        list(fill(planner(tmp_path), [*entries, entry(5000)]))
    with pytest.raises(DataError, match="more than 2,048 entries before"):
        list(fill(planner(tmp_path), entries[:2048]))


def test_with_overwrite_all_from_the_first_difference_on_is_planned_anew(tmp_path: Path) -> None:
    entries = [entry(number) for number in range(9000)]
    chunks = list(fill(planner(tmp_path), entries))
    for chunk in chunks:  # a window has eight
        (tmp_path / PARTS_NAME / f"{chunk.part}.json").write_text("{}")
        (tmp_path / f"{chunk.part}-00000.parquet").touch()
    (tmp_path / "mine.parquet").touch()
    changed = [*entries[:4000], entry(4000, "other"), *entries[4001:7000]]
    plan = planner(tmp_path, overwrite=True)
    left = list(fill(plan, changed))
    assert sorted(read.id for chunk in left for read in read_entries(chunk)) == sorted(
        one.id for one in changed[2048:]
    )
    assert left[0].part == chunks[8].part and plan.rows_done == 2048
    there = {path.name for path in tmp_path.glob("*.parquet")}
    assert there == {"mine.parquet", *(f"{chunk.part}-00000.parquet" for chunk in chunks[:8])}
    shorter = planner(tmp_path, overwrite=True)
    assert not list(fill(shorter, changed[:2048])) and shorter.parts == 8
    assert [path.name for path in (tmp_path / PARTS_NAME).glob("plan-*")] == ["plan-00000.parquet"]
