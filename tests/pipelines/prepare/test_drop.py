"""What an inspection finds is left out of prepared data, as rejects with the kind as reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from jobs.prepare import describe
from pipelines.inspection import inspect
from pipelines.inspection.findings_file import FINDINGS_NAME, FINDINGS_SCHEMA, SETS_KEY
from pipelines.inspection.kinds import DROPPABLE, Side
from pipelines.inspection.write import write
from pipelines.prepare import PrepareConfig, begin, carry_out, prepare
from pipelines.prepare.drop import read_drops
from pipelines.shards import Sample
from tests.pipelines.inspection.planted import (
    PLAIN,
    clean,
    counts,
    noise,
    prepared,
    recoded,
    row,
    words,
)
from tests.pipelines.prepare.outputs import rejects_of, samples_of

LEAKS = 3000


def inspected(sets: list[str], report: Path) -> dict[str, int]:
    """Findings by kind; the report is written."""
    inspection = inspect(sets, PLAIN)
    write(inspection, str(report))
    return counts(inspection)


def small(count: int, prefix: str, seed: int) -> list[Sample]:
    """Samples of small pictures, quickly made."""
    texts = words(count, seed)
    return [row(f"{prefix}{i:05d}", t, noise(26, 10, seed + i)) for i, t in enumerate(texts)]


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_three_thousand_leaks_are_gone_in_one_command(tmp_path: Path) -> None:
    train, test = small(LEAKS + 300, "a", 1), small(200, "t", 100_000)
    test += [{**sample, "id": f"leak{i:05d}"} for i, sample in enumerate(train[:LEAKS])]
    sets = [prepared(tmp_path / "train", train), prepared(tmp_path / "test", test)]
    assert inspected(sets, tmp_path / "report") == {"leak": LEAKS}
    drop = str(tmp_path / "report" / FINDINGS_NAME)
    out = str(tmp_path / "clean")
    (manifest,) = prepare(sets[0], out, PrepareConfig(drop=drop, kinds=("leak",)))
    assert (manifest.count, manifest.rejects) == (300, {"leak": LEAKS})
    assert inspected([out, sets[1]], tmp_path / "again") == {"set_aside": LEAKS}
    rejects = rejects_of(tmp_path / "clean")
    assert len(rejects) == LEAKS
    assert rejects["a00007"] == ("leak", train[7]["image"])


def planted(folder: Path) -> list[str]:
    """A training and a test set with copies, near copies and leaks."""
    train, test = clean(60, seed=1), clean(30, seed=2, prefix="t")
    train += [
        row("copy", train[3]["text"], train[3]["image"]),
        row("near", train[5]["text"], recoded(train[5]["image"])),
        row("space", "ab ", noise(60, 24, 1)),
        row("space copy", "abc", train[4]["image"]),
    ]
    test += [
        row("leak", train[3]["text"], train[3]["image"]),
        row("near leak", train[9]["text"], recoded(train[9]["image"])),
    ]
    return [prepared(folder / "train", train), prepared(folder / "test", test)]


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(
    ("side", "train_rejects", "test_rejects"),
    [
        ("training", {"c0003": "leak", "copy": "leak", "c0009": "near_leak", "near": "near_copy"},
         {}),
        ("measuring", {"copy": "copy", "near": "near_copy"},
         {"leak": "leak", "near leak": "near_leak"}),
    ],
)  # fmt: skip
def test_sides_and_kinds(
    tmp_path: Path, side: Side, train_rejects: dict[str, str], test_rejects: dict[str, str]
) -> None:
    sets = planted(tmp_path)
    assert inspected(sets, tmp_path / "report")["near_leak"] == 1
    kinds = ("leak,near_leak", "copy", "near_copy")
    config = PrepareConfig(drop=str(tmp_path / "report"), kinds=kinds, leak_side=side)
    for uri, expected in zip(sets, (train_rejects, test_rejects), strict=True):
        out = tmp_path / "out" / Path(uri).name
        (made,) = carry_out(begin([uri], str(out), config))
        assert f"dropped from the {side} side" in describe(made)
        found = {id: reason for id, (reason, _) in rejects_of(out).items()} if expected else {}
        assert found == expected
        assert not made.not_dropped.count
    cleaned = [str(tmp_path / "out" / Path(uri).name) for uri in sets]
    assert set(inspected(cleaned, tmp_path / "again")) <= {
        "set_aside", "edge_space", "same_picture_other_text",
    }  # fmt: skip


@pytest.mark.usefixtures("local_ray")
def test_a_source_in_files_that_lists_a_picture_twice(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    lines = []
    for sample in [*clean(20, seed=1), row("again", "x", clean(20, seed=1)[2]["image"])]:
        (folder / f"{sample['id']}.png").write_bytes(sample["image"])
        lines.append(f"{sample['id']}.png\t{sample['text'] if sample['id'] != 'again' else ''}\n")
    lines[-1] = lines[2].replace("c0002", "again")
    lines.append(lines[5])
    (folder / "labels.tsv").write_text("".join(lines), encoding="utf-8")
    assert inspected([str(folder)], tmp_path / "report") == {"copy": 2}
    config = PrepareConfig(drop=str(tmp_path / "report"), kinds=("copy",), val_share=0.3)
    made = prepare(str(folder), str(tmp_path / "out"), config)
    total: dict[str, int] = {}
    for manifest in made:
        for reason, count in manifest.rejects.items():
            total[reason] = total.get(reason, 0) + count
    assert total == {"copy": 1, "duplicate_id": 1}
    assert sum(manifest.count for manifest in made) == 20


def findings_file(path: Path, sets: dict[str, str], rows: list[dict[str, str]]) -> str:
    schema = FINDINGS_SCHEMA.with_metadata({SETS_KEY: json.dumps(sets).encode()})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return str(path)


def finding(name: str, id: str, kind: str = "edge_space") -> dict[str, str]:
    return {"set": name, "id": id, "kind": kind, "severity": "warning", "message": f"of {id}"}


@pytest.mark.usefixtures("local_ray")
def test_ids_that_are_not_there_are_told_and_moved_sets_known_by_name(tmp_path: Path) -> None:
    here = prepared(tmp_path / "moved" / "train", clean(20, seed=1))
    rows = [finding("train", id) for id in ("c0001", "gone1", "gone2")] + [finding("val", "c0002")]
    sets = {"train": "/elsewhere/train", "val": "/elsewhere/val"}
    drop = findings_file(tmp_path / "findings.parquet", sets, rows)
    config = PrepareConfig(drop=drop, kinds=("edge_space",))
    out = tmp_path / "out"
    (made,) = carry_out(begin([here], str(out), config))
    assert rejects_of(out) == {"c0001": ("edge_space", clean(20, seed=1)[1]["image"])}
    assert "findings whose sample isn't in the sources: 2 (gone1, gone2)" in describe(made)
    (again,) = carry_out(begin([here], str(out), config))
    assert (again.was_complete, again.not_dropped) == (True, made.not_dropped)
    with pytest.raises(DataError, match="made with other settings: drop"):
        begin([here], str(out), PrepareConfig())
    assert len(samples_of(str(out), made.manifest)) == 19


def test_the_first_kind_is_the_reason_and_sources_are_apart(tmp_path: Path) -> None:
    rows = [finding("a", "1"), finding("a", "1", "copy"), finding("b", "1", "not_nfc")]
    drop = findings_file(tmp_path / "f.parquet", {"a": "/x/a", "b": "/x/b"}, rows)
    for kinds in (("copy", "edge_space"), ("edge_space", "copy")):
        drops, _ = read_drops(drop, kinds, "training", ["/x/b", "/x/a"])
        assert len(drops) == 1
        assert drops.of(0, ["1"]) == [None]
        (dropped, nothing) = drops.of(1, ["1", "2"])
        assert dropped is not None
        assert (dropped.kind, nothing) == (kinds[0], None)
        assert drops.not_met(5) == (0, [])
    many = [finding("a", f"{n}/{np.base_repr(n * 7919, 36)}") for n in range(5000)]
    drop = findings_file(tmp_path / "g.parquet", {"a": "/x/a"}, many)
    drops, _ = read_drops(drop, ("edge_space",), "training", ["/x/a"])
    found = drops.of(0, [r["id"] for r in many[::2]] + ["other"])
    assert [d and d.message for d in found] == [r["message"] for r in many[::2]] + [None]
    assert drops.not_met(0)[0] == 2500


def test_what_can_not_be_dropped(tmp_path: Path) -> None:
    for kinds in (("leek",), ("leak,copi",), ("set_aside",)):
        with pytest.raises(ValueError, match=r"--kinds has .*expected some of .*leak.*near_copy"):
            PrepareConfig(drop="f", kinds=kinds)
    assert "set_aside" not in DROPPABLE
    with pytest.raises(ValueError, match="--kinds needs --drop"):
        PrepareConfig(kinds=("leak",))
    drop = findings_file(
        tmp_path / "f.parquet", {"a": "/x/a"}, [finding("a", str(n)) for n in range(3)]
    )
    with pytest.raises(ValueError, match=r"--drop needs --kinds; .*has edge_space \(3\)"):
        read_drops(drop, (), "training", ["/x/a"])
    with pytest.raises(DataError, match=r"about the sets a \(/x/a\), but none of them is a source"):
        read_drops(drop, ("leak",), "training", ["/x/b"])
    with pytest.raises(DataError, match=r"there is no .*findings\.parquet"):
        read_drops(str(tmp_path), ("leak",), "training", ["/x/a"])
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(DataError, match="isn't a Parquet file"):
        read_drops(str(tmp_path / "junk.parquet"), ("leak",), "training", ["/x/a"])
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="lacks the columns confidence, kind, message"):
        read_drops(str(tmp_path / "other.parquet"), ("leak",), "training", ["/x/a"])
    assert replace(PrepareConfig(), drop=drop, kinds=("leak,copy", "edge_space")).dropped_kinds == (
        "leak", "copy", "edge_space",
    )  # fmt: skip
