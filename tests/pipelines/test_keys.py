"""Sets of keys beside Python's own sets, and the keys themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.keys import NO_KEYS, KeySet, among, hashed, key, position


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30_000).map(str), max_size=60), max_size=60))
def test_a_set_tells_what_came_before(pages: list[list[str]]) -> None:
    taken, added, known = KeySet(), KeySet(), set[str]()
    filler = hashed(f"filler {number}" for number in range(20_000))
    assert taken.take(filler).all()
    for page in pages:
        keys = hashed(page)
        assert added.has(keys).tolist() == [id in known for id in page]
        expected = []
        for id in page:
            expected.append(id not in known)
            known.add(id)
        assert taken.take(keys).tolist() == expected
        added.add(keys)
    assert taken.has(hashed([*known, "filler 19999"])).all()
    assert not taken.has(hashed(["new", ""])).any()
    assert not taken.take(filler).any()


def test_a_set_of_few_runs_holds_sixteen_bytes_a_key() -> None:
    keys = KeySet()
    for start in range(0, 60_000, 500):
        keys.take(hashed(map(str, range(start, start + 1000))))
    runs = [len(run) for run in keys._runs]
    assert sum(runs) == 60_500
    assert all(run.dtype.itemsize == 16 for run in keys._runs)
    assert all(longer > 2 * shorter for longer, shorter in pairwise(runs))


def test_an_empty_set_and_no_keys() -> None:
    keys = KeySet()
    assert keys.has(hashed(["a"])).tolist() == [False]
    keys.add(NO_KEYS)
    assert keys.take(NO_KEYS).tolist() == []
    assert keys.take(hashed(["a", "b", "a"])).tolist() == [True, True, False]
    assert among(hashed(["a"]), NO_KEYS).tolist() == [False]


def test_a_key_has_sixteen_bytes_whatever_the_text_is() -> None:
    texts = ["", "a", "é", "e\u0301", "\udce9", "\ud83d", "x" * 9999, "a\0b"]
    assert len({key(text) for text in texts}) == len(texts)
    assert {len(key(text)) for text in texts} == {16}
    assert hashed(texts).tolist() == [key(text).rstrip(b"\0") for text in texts]
    assert key("page.png\0None").hex() == "2e862a8fb0c8e6e6ea67eb7e9fdc185d"


def test_places_among_sorted_keys() -> None:
    known = np.sort(hashed("abc"))
    keys = hashed("xcab")
    assert among(keys, known).tolist() == [False, True, True, True]
    assert known[position(keys[1:], known)].tolist() == keys[1:].tolist()
