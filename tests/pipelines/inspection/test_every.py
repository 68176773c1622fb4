"""Every finding, sample by sample, as ``findings.parquet`` has them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.inspection import inspect
from pipelines.inspection.findings_file import FINDINGS_NAME, FINDINGS_SCHEMA, SETS_KEY
from pipelines.inspection.kinds import KINDS
from pipelines.inspection.notes import Note, Notes, pack
from pipelines.inspection.write import write
from tests.pipelines.inspection.planted import PLAIN, clean, noise, prepared, recoded, row

pytestmark = pytest.mark.usefixtures("local_ray")


def findings(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / FINDINGS_NAME).to_pylist())


def of(rows: list[dict[str, Any]], kind: str) -> list[tuple[Any, ...]]:
    """Set, id, set and id of the other one, side."""
    keys = ("set", "id", "with_set", "with", "side")
    return [tuple(r[key] for key in keys) for r in rows if r["kind"] == kind]


@pytest.mark.slow
def test_all_samples_are_listed_with_those_that_stay(tmp_path: Path) -> None:
    train, val = clean(60, seed=1), clean(30, seed=2, prefix="v")
    first, second, third, fourth = (train[i] for i in (3, 8, 20, 31))
    train += [
        row("copy", first["text"], first["image"]),
        row("other text", "wrong", second["image"]),
        row("near", third["text"], recoded(third["image"])),
        row("nearer", third["text"], recoded(third["image"], quality=80)),
        *(row(f"space{n}", f"s{n} ", noise(60, 24, n)) for n in range(9)),
        row("euro", "5\u20ac", noise(60, 24, 20)),
    ]
    val += [row("leak", first["text"], first["image"]),
            row("near leak", fourth["text"], recoded(fourth["image"]))]  # fmt: skip
    sets = [prepared(tmp_path / "train", train), prepared(tmp_path / "val", val)]
    write(inspect(sets, replace(PLAIN, rare_below=2)), str(tmp_path / "report"))
    rows = findings(tmp_path / "report")
    assert of(rows, "edge_space") == [("train", f"space{n}", None, None, None) for n in range(9)]
    assert of(rows, "copy") == [("train", "copy", "train", "c0003", None)]
    assert of(rows, "near_copy") == [
        ("train", name, "train", "c0020", None) for name in ("near", "nearer")
    ]
    assert of(rows, "same_picture_other_text") == [
        ("train", "c0008", "train", "other text", None),
        ("train", "other text", "train", "c0008", None),
    ]
    assert of(rows, "leak") == [
        ("train", "c0003", "val", "leak", "training"),
        ("train", "copy", "val", "leak", "training"),
        ("val", "leak", "train", "c0003", "measuring"),
    ]
    assert of(rows, "near_leak") == [
        ("train", "c0031", "val", "near leak", "training"),
        ("val", "near leak", "train", "c0031", "measuring"),
    ]
    assert of(rows, "rare_character") == [("train", "euro", None, None, None)]
    messages = {r["kind"]: r["message"] for r in rows}
    assert messages["copy"] == "equal to c0003 of train, which stays"
    assert messages["edge_space"] == "ends with a space"
    assert messages["rare_character"] == "'\u20ac' occurs once"
    assert all(r["severity"] == KINDS[r["kind"]].severity for r in rows)
    schema = pq.read_schema(tmp_path / "report" / FINDINGS_NAME)
    assert schema.equals(FINDINGS_SCHEMA)
    assert json.loads(schema.metadata[SETS_KEY]) == {"train": sets[0], "val": sets[1]}


@pytest.mark.slow
def test_they_are_as_many_as_the_report_counts(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    samples = clean(80, seed=1)
    for n in range(0, 40, 2):
        samples.append(row(f"again{n}", samples[n]["text"], samples[n]["image"]))
    samples += [row("long", "abcdefgh", noise(16, 24, 1)), row("short", "word", noise(900, 24, 2))]
    lines = ["gone.png\tabc", "no tab"]
    for sample in samples:
        (folder / f"{sample['id']}.png").write_bytes(sample["image"])
        lines.append(f"{sample['id']}.png\t{sample['text']}")
    (folder / "labels.tsv").write_text("\n".join(lines), encoding="utf-8")
    later = prepared(tmp_path / "later", clean(60, seed=1) + clean(9, seed=7, prefix="d"))
    inspection = inspect([str(folder), later], PLAIN)
    write(inspection, str(tmp_path / "report"))
    listed = Counter(r["kind"] for r in findings(tmp_path / "report") if r["side"] != "training")
    assert listed == {f.code: f.count for f in inspection.findings}
    some = {"leak", "copy", "label_too_long", "label_too_short", "missing_picture"}
    assert some <= set(listed)
    limited = inspect([str(folder), later], replace(PLAIN, limit=12))
    write(limited, str(tmp_path / "limited"))
    rows = findings(tmp_path / "limited")
    assert len(of(rows, "leak")) == 20
    assert {f"c{n:04d}" for n in range(12)} >= {r["id"].removesuffix(".png") for r in rows
                                              if r["kind"] == "leak"}  # fmt: skip


def test_clean_data_has_an_empty_file(tmp_path: Path) -> None:
    write(inspect([prepared(tmp_path / "set", clean(40, seed=1))], PLAIN), str(tmp_path / "out"))
    assert findings(tmp_path / "out") == []


def test_notes_are_kept_whole_in_any_order() -> None:
    notes = Notes()
    made = {
        (number, start): [Note(start + n, "edge_space", f"note {n}") for n in range(n_notes)]
        for number, start, n_notes in ((1, 0, 3), (0, 1024, 1), (0, 0, 0), (1, 50, 2000))
    }
    for (number, start), some in made.items():
        notes.add(number, start, pack(some))
    for (number, start), some in made.items():
        assert notes.of(number, start) == some
    assert notes.of(2, 0) == []
    assert len(pack(made[1, 50])) < 20 * 2000
