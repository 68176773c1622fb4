"""Some of each kind, and none that is nearly the same as one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.review import ReviewConfig, select
from pipelines.review.kinds import farthest_first, kind_of, vector_of
from tests.pipelines.test_review import results, row, uris


def test_no_more_of_a_kind_than_wanted_and_the_least_confident_of_each(tmp_path: Path) -> None:
    kinds = {"letters": "abc", "digits": "123", "letters and digits and signs": "INV-7"}
    kinds["no text"] = ""
    rows = [
        row(f"/{number}/{i}.png", text, confidence=i / 1000 + number / 10)
        for number, text in enumerate(kinds.values())
        for i in range(60)
    ]
    out = results(tmp_path, rows[:100], rows[100:])
    found = select(out, ReviewConfig(per_kind=20, limit=70))
    assert found.kinds == {
        "letters": (20, 60), "digits": (20, 60), "letters and digits and signs": (20, 60),
        "no text": (10, 60),
    }  # fmt: skip
    taken = [f"/{number}/{i}.png" for number in range(3) for i in range(20)]
    assert uris(found) == taken + [f"/3/{i}.png" for i in range(10)]
    by_folder = select(out, ReviewConfig(per_kind=3, kind="folder", limit=70))
    assert set(by_folder.kinds.values()) == {(3, 60)}
    by_length = select(out, ReviewConfig(per_kind=5, kind="length", limit=70))
    assert by_length.kinds == {
        "2 to 3 characters": (5, 120), "4 to 7 characters": (5, 60), "no text": (5, 60),
    }  # fmt: skip
    assert select(out, ReviewConfig(limit=5)).kinds == {}


def test_the_most_different_texts_come_first(tmp_path: Path) -> None:
    same = [row(f"/same{i}.png", f"TOTAL 12.{i % 10}0", confidence=i / 1000) for i in range(200)]
    other = [row(f"/{text}.png", text, confidence=0.8) for text in ("Ångström", "§", "zebra", "77")]
    out = results(tmp_path / "first", same + other)
    config = ReviewConfig(order="different", limit=6)
    found = select(out, config)
    texts = [one["text"] for one in found.rows]
    assert {"Ångström", "§", "zebra", "77"} <= set(texts) and len(set(texts)) == 6
    assert found.found == 204
    again = select(results(tmp_path / "again", other, same[100:], same[:100]), config)
    assert [one["text"] for one in again.rows] == texts
    few = select(out, replace(config, limit=9, per_kind=2))
    assert max(taken for taken, _ in few.kinds.values()) == 2


def test_farthest_first_is_what_it_says() -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("ab12"), rng.integers(1, 6))) for _ in range(40)]
    order = list(farthest_first(texts, first=7))
    assert sorted(order) == list(range(40)) and order[0] == 7
    vectors = np.stack([vector_of(text) for text in texts])
    alike = vectors @ vectors.T
    for count in range(1, 40):
        nearest = alike[:, order[:count]].max(axis=1)
        left = [place for place in range(40) if place not in order[:count]]
        assert nearest[order[count]] == pytest.approx(min(nearest[left]), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("total", "letters"),
        ("Straße 12", "letters and digits, several words"),
        ("12.50", "digits and signs"),
        ("€", "signs"),
        ("", "no text"),
        (None, "no text"),
        ("شارع", "letters"),
        ("e\u0301te\u0301", "letters"),
    ],
)
def test_kinds_of_characters(text: str | None, kind: str) -> None:
    assert kind_of("characters", "/a.png", text) == kind
