"""Two results laid beside each other: every count against plain counting, and what is written."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.comparison.write import CHANGED_NAME
from pipelines.drift import side as sides
from pipelines.drift.changes import CHANGED_SCHEMA, CHANGES
from pipelines.drift.flow import carry_out, is_results, plan_drift
from pipelines.drift.result import Drift
from tests.pipelines.test_review import MODEL, OTHER, REGION, failed, results, results_of_pages, row

TEXTS = ("12", "123", "1234", "")
CODES = ("undecodable", "not_found")


def rows_of(seed: int, *, count: int = 300) -> list[dict[str, Any]]:
    """Some of 400 pictures, as read or as errors; whole ones and regions."""
    chance = random.Random(seed)
    found = []
    for number in sorted(chance.sample(range(400), count)):
        region = REGION if number % 2 else None
        more = {"region": region, "etag": f"v{chance.random() < 0.1}"}
        uri = f"/pictures/{number}.png"
        if chance.random() < 0.2:
            found.append(failed(uri, chance.choice(CODES), **more))
        else:
            found.append(row(uri, chance.choice(TEXTS), round(chance.random(), 3), **more))
    return found


def compared(tmp_path: Path, first: Any, second: Any) -> tuple[Drift, list[dict[str, Any]]]:
    """The drift of two lists of rows, and what ``changed.parquet`` has."""
    ours = results(tmp_path / "first", first[:100], first[100:])
    theirs = results(tmp_path / "second", second, model=OTHER)
    drift, _ = carry_out(plan_drift(ours, theirs), str(tmp_path / "out"))
    changed = pq.read_table(tmp_path / "out" / CHANGED_NAME)
    assert changed.schema.equals(CHANGED_SCHEMA)
    return drift, changed.to_pylist()


def kind_of(before: dict[str, Any], after: dict[str, Any]) -> str:
    failed_before, failed_after = (r.get("error_code") for r in (before, after))
    if failed_before or failed_after:
        both = failed_before and failed_after
        if both:
            return "error" if failed_before != failed_after else ""
        return "lost" if failed_after else "gained"
    return "text" if before["text"] != after["text"] else ""


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_plain_counting(tmp_path: Path, seed: int) -> None:
    first, second = rows_of(2 * seed), rows_of(2 * seed + 1)
    drift, changed = compared(tmp_path, first, second)
    before, after = ({r["uri"]: r for r in rows} for rows in (first, second))
    both = before.keys() & after.keys()
    kinds = {uri: kind_of(before[uri], after[uri]) for uri in both}
    changes = drift.changes
    assert (changes.matched, changes.only_first, changes.only_second) == (
        len(both), len(before) - len(both), len(after) - len(both),
    )  # fmt: skip
    assert {r["uri"]: r["change"] for r in changed} == {u: k for u, k in kinds.items() if k}
    assert changes.changed == Counter(kind for kind in kinds.values() if kind)
    assert set(changes.changed) == set(CHANGES)
    versions = {uri: before[uri]["etag"] == after[uri]["etag"] for uri in both}
    assert changes.other_version == sum(not same for same in versions.values())
    assert all(r["same_version"] == versions[r["uri"]] for r in changed)
    alike = [u for u in both if not kinds[u] and not before[u].get("error_code")]
    assert changes.same_text == len(alike)
    moved = [after[u]["confidence"] - before[u]["confidence"] for u in alike]
    assert drift.confidence_moved == pytest.approx(np.mean(moved), abs=1e-6)
    for rows, side in zip((first, second), drift.sides, strict=True):
        texts = [r["text"] for r in rows if not r.get("error_code")]
        assert (side.rows, side.read, side.empty) == (300, len(texts), texts.count(""))
        assert side.errors == Counter(r["error_code"] for r in rows if r.get("error_code"))
        assert side.characters == Counter("".join(texts))


def test_examples_are_the_texts_that_tell_most(tmp_path: Path) -> None:
    first = [row(f"/{n}.png", "12345678", 0.9) for n in range(200)]
    second = [row(f"/{n}.png", "1234567" + "89"[n % 2], 0.9) for n in range(200)]
    second[40] = row("/40.png", "abcdefgh", 0.9)
    second[60] = row("/60.png", "abcdefgh", 0.1)
    drift, changed = compared(tmp_path, first, second)
    assert [r["uri"] for r in drift.changes.examples][:2] == ["/40.png", "/60.png"]
    assert len(drift.changes.examples) == 50
    assert len(changed) == 102  # every odd one, and the two
    html = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "/40.png" in html
    assert "12345678" in html


def test_sizes_are_those_of_the_regions(tmp_path: Path) -> None:
    turned = [0.0, 0.0, 30.0, 40.0, 22.0, 46.0, -8.0, 6.0]  # 50 wide, 10 high
    rows = [row("/a.png", "12345", region=turned), row("/b.png", "1")]
    drift, _ = compared(tmp_path, rows, rows)
    means = {name: report.sets[0].mean for name, report in drift.traits.items()}
    assert means["width_px"] == pytest.approx(50)
    assert means["height_px"] == pytest.approx(10)
    assert means["heights_per_character"] == pytest.approx(1)
    assert drift.traits["width_px"].sets[0].samples == 1
    assert "1 of 2 rows are of whole pictures" in drift.unknown[0]


def test_beyond_a_number_of_rows_both_samples_are_of_the_same_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "SAMPLED", 40)
    rows = rows_of(9)
    drift, changed = compared(tmp_path, rows, list(reversed(rows)))
    assert [side.sampled for side in drift.sides] == [40, 40]
    assert all(report.sets[1].distance == 0 for report in drift.traits.values())
    assert not changed


def test_of_a_picture_read_again_the_last_row_counts(tmp_path: Path) -> None:
    first = [row("/a.png", "old"), row("/a.png", "new")]
    drift, changed = compared(tmp_path, first, [row("/a.png", "new")])
    assert (drift.changes.matched, drift.changes.repeated_first) == (1, 1)
    assert not changed


def test_lines_of_pages_are_matched_by_page(tmp_path: Path) -> None:
    lines = [row("/a.pdf", t, page=p, line=1, region=REGION) for p, t in ((1, "1"), (2, "2"))]
    blank = {**row("/a.pdf", "", page=3), "confidence": None}
    ours = results_of_pages(tmp_path / "first", [*lines, blank], 200)
    theirs = results(tmp_path / "second", [row("/a.pdf", "3", region=REGION)], model=OTHER)
    drift, _ = carry_out(plan_drift(ours, theirs), str(tmp_path / "out"))
    (changed,) = pq.read_table(tmp_path / "out" / CHANGED_NAME).to_pylist()
    assert (changed["first_text"], changed["second_text"]) == ("1", "3")  # pages count from 1
    assert drift.changes.only_first == 2
    assert drift.sides[0].empty == 1


def test_results_in_a_bucket(new_bucket: Callable[[], str]) -> None:
    bucket = new_bucket()
    ours = results(f"{bucket}/first", [row("s3://b/a.png", "1")])
    theirs = results(f"{bucket}/second", [row("s3://b/a.png", "2")], model=OTHER)
    assert is_results(ours)
    assert not is_results(f"{bucket}/third")
    drift, address = carry_out(plan_drift(ours, theirs), f"{bucket}/out")
    assert drift.changes.changed["text"] == 1
    figures = json.loads(storage.read_bytes(storage.join(f"{bucket}/out", "comparison.json")))
    assert figures["pictures"]["changed"]["text"] == 1
    assert [side["models"] for side in figures["results"]] == [{MODEL: 1}, {MODEL: 1}]
    changed = storage.read_bytes(storage.join(f"{bucket}/out", CHANGED_NAME))
    assert pq.read_table(pa.BufferReader(changed)).num_rows == 1
    assert storage.exists(address)


def test_what_cant_be_compared_says_why(tmp_path: Path) -> None:
    ours = results(tmp_path / "first", [row("/a.png")])
    theirs = results(tmp_path / "second", [row("/a.png")], report=False)
    with pytest.raises(DataError, match=r"unfinished.*--unfinished"):
        plan_drift(ours, theirs)
    plan_drift(ours, theirs, unfinished=True)
    with pytest.raises(ValueError, match="same results"):
        plan_drift(ours, f"{ours}/model={MODEL[:16]}")
    with pytest.raises(DataError, match="no results at"):
        plan_drift(ours, str(tmp_path / "third"))
    empty = results(tmp_path / "empty", [], model=OTHER)
    with pytest.raises(DataError, match="no rows"):
        carry_out(plan_drift(ours, empty), str(tmp_path / "out"))
    assert not (tmp_path / "out" / "comparison.json").exists()
