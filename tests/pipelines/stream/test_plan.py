from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stream.plan import Chunk, StreamSource, epoch_chunks, epoch_rows


def source(rows: list[int], *, uri: str = "set", weight: float | None = None) -> StreamSource:
    """A set with one shard a row group."""
    groups = tuple((f"s{i}.parquet", 0, n) for i, n in enumerate(rows))
    return StreamSource(uri=uri, groups=groups, weight=weight)


def read(chunks: tuple[Chunk, ...]) -> Counter[tuple[int, str]]:
    return Counter((p.source, p.shard) for chunk in chunks for p in chunk.pieces)


sizes = st.lists(st.integers(1, 3000), min_size=1, max_size=12)


@settings(deadline=None)
@given(sizes, sizes, st.integers(0, 9), st.integers(0, 5))
def test_an_epoch_reads_every_row_group_once(
    first: list[int], second: list[int], seed: int, epoch: int
) -> None:
    sources = (source(first), source(second))
    chunks = epoch_chunks(sources, seed=seed, epoch=epoch)
    expected = Counter((i, g[0]) for i, s in enumerate(sources) for g in s.groups)
    assert read(chunks) == expected
    assert [c.index for c in chunks] == list(range(len(chunks)))


def test_epochs_and_seeds_differ_and_repeat_themselves() -> None:
    sources = (source([100] * 50),)

    def order(seed: int, epoch: int) -> list[str]:
        chunks = epoch_chunks(sources, seed=seed, epoch=epoch)
        return [p.shard for c in chunks for p in c.pieces]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_without_a_seed_the_order_is_the_manifests() -> None:
    chunks = epoch_chunks((source([5000, 5000, 5000]),), seed=None, epoch=3)
    assert [p.shard for c in chunks for p in c.pieces] == ["s0.parquet", "s1.parquet", "s2.parquet"]


def test_weights_share_out_the_rows_of_an_epoch() -> None:
    big, small = source([100] * 90, weight=1.0), source([100] * 10, weight=3.0)
    chunks = epoch_chunks((big, small), seed=0, epoch=0)
    rows = Counter[int]()
    for chunk in chunks:
        for piece in chunk.pieces:
            rows[piece.source] += piece.rows
    assert rows == {0: 2500, 1: 7500}


def test_a_weighted_source_comes_whole_before_it_comes_again() -> None:
    sources = (source([10] * 8, weight=1.0), source([10] * 4, weight=1.0))
    seen: list[str] = []
    for epoch in range(4):
        for chunk in epoch_chunks(sources, seed=0, epoch=epoch):
            seen += [p.shard for p in chunk.pieces if p.source == 0]
    for start in range(0, len(seen) - 7, 8):
        assert len(set(seen[start : start + 8])) == 8


@pytest.mark.parametrize("weight", [None, 1.0])
def test_rows_of_its_own_come_beside_what_the_others_give(weight: float | None) -> None:
    others = source([100] * 20, weight=weight), source([100] * 20, weight=weight)
    sources = (*others, replace(source([50] * 30), rows_an_epoch=600))
    assert epoch_rows(sources) == 4600
    seen: list[str] = []
    for epoch in range(5):
        rows = Counter[int]()
        for piece in (p for c in epoch_chunks(sources, seed=0, epoch=epoch) for p in c.pieces):
            rows[piece.source] += piece.rows
            seen += [piece.shard] if piece.source == 2 else []
        assert rows == {0: 2000, 1: 2000, 2: 600}
    assert len(set(seen[:30])) == len(set(seen[30:])) == 30  # each comes once before any again


def test_some_weights_but_not_all_are_refused() -> None:
    with pytest.raises(ValueError, match="all or none"):
        epoch_chunks((source([1], weight=1.0), source([1])), seed=0, epoch=0)
