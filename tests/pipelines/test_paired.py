"""Which of two bundles is better: the exact test against counting, the bootstrap against theory."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import DataError
from pipelines.evaluation.paired import (
    CHARACTERS,
    POOLED,
    in_words,
    mcnemar,
    paired_tests,
    ratio_interval,
)
from pipelines.evaluation.reader import PREDICTION_SCHEMA


def read(right: list[bool], *, name: str = "s", a_group: int = 1, length: int = 4) -> pa.Table:
    """Predictions of digits, the wrong ones with one edit; so many samples a group."""
    rows: list[dict[str, Any]] = [
        {
            "set": name, "id": f"{n:05}", "group": f"{n // a_group}", "label": "1" * length,
            "text": "1" * length if good else "2" + "1" * (length - 1),
            "exact": good, "alnum_exact": good, "edits": int(not good),
        }
        for n, good in enumerate(right)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_test_is_the_binomial_s_two_tails(first: int, second: int) -> None:
    pairs = first + second
    tail = sum(math.comb(pairs, k) for k in range(min(first, second) + 1))
    assert mcnemar(first, second) == pytest.approx(
        float(min(Fraction(1), Fraction(2 * tail, 2**pairs)))
    )


@pytest.mark.parametrize(("first", "second"), [(900, 1100), (4000, 4010), (0, 3000)])
def test_the_exact_test_of_many_pairs(first: int, second: int) -> None:
    pairs = first + second
    tail = sum(math.comb(pairs, k) for k in range(min(first, second) + 1))
    expected = min(1.0, float(Fraction(2 * tail, 2**pairs)))
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-8)


def test_the_interval_is_that_of_a_mean(seed: int = 3) -> None:
    differences = np.random.default_rng(seed).choice([-1, 0, 1], size=4000, p=[0.05, 0.85, 0.1])
    low, high, p_value = ratio_interval(differences, np.ones(4000, dtype=np.int64))
    error = differences.std() / math.sqrt(4000)
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)
    assert p_value < 0.001


def test_what_comes_in_groups_is_less_sure() -> None:
    right = np.random.default_rng(1).random(100) < 0.6
    each = paired_tests(read([False] * 1000), read(np.repeat(right, 10).tolist()))
    pages = paired_tests(
        read([False] * 1000, a_group=10), read(np.repeat(right, 10).tolist(), a_group=10)
    )
    alone, grouped = (found["s"]["exact"].interval for found in (each, pages))
    assert (grouped[1] - grouped[0]) / (alone[1] - alone[0]) == pytest.approx(10**0.5, rel=0.1)
    assert (each["s"]["exact"].groups, pages["s"]["exact"].groups) == (1000, 100)


def test_no_difference_is_called_none() -> None:
    """Of two bundles that err alike, about one in twenty at most is called better."""
    random = np.random.default_rng(5)
    called = 0
    for _ in range(60):
        first, second = (random.random(200) < 0.8 for _ in range(2))
        called += bool(
            paired_tests(read(first.tolist()), read(second.tolist()))["s"]["exact"].better
        )
    assert called <= 7


def test_the_better_one_is_named_by_set_and_over_all() -> None:
    few, many = [True] * 50, [True] * 950
    first = pa.concat_tables([read([*few, *[False] * 50]), read([*many, *[False] * 50], name="t")])
    second = pa.concat_tables([read([True] * 100), read([*many, *[False] * 50], name="t")])
    found = paired_tests(first, second)
    assert list(found) == ["s", "t", POOLED]
    assert [found[name]["exact"].better for name in found] == [2, 0, 2]
    assert [found[name][CHARACTERS].better for name in found] == [2, 0, 2]
    assert paired_tests(second, first)["s"]["exact"].better == 1
    exact = found["s"]["exact"]
    assert (exact.only_first, exact.only_second, exact.difference) == (0, 50, 0.5)
    errors = found["s"][CHARACTERS]
    assert (errors.first, errors.second, errors.count) == (50, 0, 400)
    said = in_words("s", "exact", exact, ("old", "new"))
    assert "old 50.00%, new 100.00% of 100 samples; difference +50.00 points" in said
    assert said.endswith("new is better")
    assert in_words("t", "exact", found["t"]["exact"], ("old", "new")).endswith("is shown")


def test_a_measure_that_counts_no_label_is_left_out() -> None:
    table = read([True] * 5)
    place = table.schema.get_field_index("alnum_exact")
    table = table.set_column(place, "alnum_exact", pa.nulls(5, pa.bool_()))
    assert set(paired_tests(table, table)["s"]) == {"exact", CHARACTERS}


def test_other_samples_or_labels_are_refused() -> None:
    with pytest.raises(DataError, match="aren't the same"):
        paired_tests(read([True] * 3), read([True] * 4))
    with pytest.raises(DataError, match="3 samples have another label"):
        paired_tests(read([True] * 3), read([True] * 3, length=5))
