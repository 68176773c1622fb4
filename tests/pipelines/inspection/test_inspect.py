"""Whole inspections on Ray: sets with known troubles, and exactly these are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crnn.errors import DataError
from crnn.files import storage
from crnn.images.contract import PictureContract
from pipelines.inspection import InspectConfig, inspect, plan_inspection
from pipelines.inspection.write import write
from pipelines.shards import Reject, ShardWriter, finish
from tests.crnn import poison
from tests.pipelines.inspection.planted import (
    PLAIN,
    by_set,
    clean,
    counts,
    examples,
    flat,
    noise,
    prepared,
    recoded,
    repacked,
    row,
)

pytestmark = pytest.mark.usefixtures("local_ray")


def test_clean_data(tmp_path: Path) -> None:
    inspection = inspect([prepared(tmp_path / "set", clean(120, seed=1))], PLAIN)
    assert counts(inspection) == {}
    assert inspection.samples == 120
    assert inspection.alphabet.labels_left_out == 0
    assert inspection.alphabet.named == "alnum_cased"


def test_copies_in_a_set(tmp_path: Path) -> None:
    rows = clean(60, seed=1)
    first, second, third, fourth, fifth = (rows[i] for i in (3, 8, 20, 31, 44))
    rows += [
        row("bytes", first["text"], first["image"]),
        row("pixels", first["text"], repacked(first["image"])),
        row("other text", "wrong", second["image"]),
        row("near", third["text"], recoded(third["image"])),
        row("smaller", fourth["text"], recoded(fourth["image"], scale=0.8, quality=90)),
        row("near, other text", fifth["text"].swapcase(), recoded(fifth["image"])),
        row("constant 1", "abc", flat(40, 24)),
        row("constant 2", "abcd", flat(40, 24)),
    ]
    inspection = inspect([prepared(tmp_path / "set", rows)], PLAIN)
    assert counts(inspection) == {
        "constant_picture": 2,
        "same_picture_other_text": 2,
        "near_picture_other_text": 2,
        "copy": 2,
        "near_copy": 2,
    }
    assert examples(inspection, "copy") == [("c0003", "bytes"), ("c0003", "pixels")]
    assert examples(inspection, "same_picture_other_text") == [("c0008", "other text")]
    assert examples(inspection, "near_picture_other_text") == [("c0044", "near, other text")]
    assert sorted(examples(inspection, "near_copy")) == [("c0020", "near"), ("c0031", "smaller")]
    found = {finding.code: finding for finding in inspection.findings}
    assert found["copy"].details == {"equal_bytes": 1}
    assert found["near_picture_other_text"].examples[0].message == "differ only in case"
    assert (inspection.near.near, inspection.near.crowded) == (3, 0)


def test_leaks_between_sets(tmp_path: Path) -> None:
    train, val, test = clean(60, seed=1), clean(30, seed=2, prefix="v"), clean(30, seed=3)
    val += [
        row("leak", train[5]["text"], train[5]["image"]),
        row("again", train[5]["text"], repacked(train[5]["image"])),
        row("near", train[9]["text"], recoded(train[9]["image"])),
    ]
    test += [
        row("of val", val[4]["text"], val[4]["image"]),
        row("mislabelled", "wrong", train[11]["image"]),
    ]
    sets = [
        prepared(tmp_path / "data" / name, rows)
        for name, rows in (("train", train), ("val", val), ("test", test))
    ]
    inspection = inspect(sets, PLAIN)
    assert counts(inspection) == {
        "same_picture_other_text": 2,
        "leak": 4,
        "near_leak": 1,
        "copy": 1,  # of the leaked picture, within val
    }
    assert by_set(inspection, "leak") == {"val": 2, "test": 2}
    assert by_set(inspection, "near_leak") == {"val": 1}
    assert by_set(inspection, "same_picture_other_text") == {"train": 1, "test": 1}
    assert examples(inspection, "near_leak") == [("c0009", "near")]
    folder = inspect([str(tmp_path / "data")], PLAIN)  # the folder of the splits means the same
    assert counts(folder) == counts(inspection)
    assert [data.name for data in folder.sets] == ["train", "val", "test"]


def test_characters(tmp_path: Path) -> None:
    train = clean(200, seed=1) + [
        row(name, text, noise(60, 24, seed))
        for seed, (name, text) in enumerate([("e", "caf\u00e9"), ("cyr", "\u0430\u0436"),
                                             ("zwsp", "a\u200bb")])
    ]  # fmt: skip
    later = [*clean(30, seed=2), row("new", "50%", noise(60, 24, 9))]
    sets = [prepared(tmp_path / "train", train), prepared(tmp_path / "later", later)]
    inspection = inspect(sets, replace(PLAIN, rare_below=2))
    assert counts(inspection) == {
        "invisible_character": 1,
        "twin_characters": 1,  # Cyrillic а
        "rare_character": 5,  # é а ж U+200B %
        "unseen_character": 1,  # %
    }
    assert by_set(inspection, "rare_character") == {"train": 4, "later": 1}
    alphabet = inspection.alphabet
    assert alphabet.left_out == "%\u00e9\u0430\u0436\u200b"
    assert alphabet.labels_left_out == 4
    assert alphabet.named == "alnum_cased"
    assert {c.character: c.like for c in alphabet.characters if c.like} == {"\u0430": "a"}


def test_rejects_of_the_preparation_are_reported(tmp_path: Path) -> None:
    address = str(tmp_path / "set")
    with ShardWriter(address, "part") as writer:
        writer.write(clean(40, seed=1))
        writer.reject(
            Reject(id=f"r{i}", reason="undecodable", message="no", source="s", image=None)
            for i in range(6)
        )
    finish(address, [writer.close()], {"kind": "test"})
    inspection = inspect([address], PLAIN)
    (finding,) = inspection.findings
    assert (finding.code, finding.count, finding.of) == ("set_aside", 6, 46)
    assert finding.details["reasons"] == {"undecodable": 6}
    assert [entry["id"] for entry in finding.details["inputs"]] == ["r0", "r1", "r2", "r3"]


def source(folder: Path) -> str:
    """Labelled pictures as people have them, with troubles; its address."""
    folder.mkdir()
    (folder / "junk.png").write_bytes(b"<html>")
    lines = ["junk.png\tabc", "gone.png\tabc", "no tab here"]
    for sample in [*clean(70, seed=1), row("space", "abc "), row("nothing", "", noise(40, 24))]:
        (folder / f"{sample['id']}.png").write_bytes(sample["image"])
        lines.append(f"{sample['id']}.png\t{sample['text']}")
    lines += ["c0002.png\tlisted again", "c0003.png\tlisted again"]
    (folder / "labels.tsv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


def test_a_source_is_read_as_it_is(tmp_path: Path) -> None:
    inspection = inspect([source(tmp_path / "words")], PLAIN)
    found = counts(inspection)
    assert found == {
        "undecodable": 1,
        "missing_picture": 1,
        "unusable_entry": 1,
        "empty_label": 1,
        "edge_space": 1,
        "same_picture_other_text": 4,  # the list has these pictures twice
    }
    assert inspection.samples == 77
    assert inspection.sets[0].format == "labels"
    assert examples(inspection, "undecodable") == [("junk.png",)]


def test_labels_in_file_names(tmp_path: Path) -> None:
    for sample in [*clean(30, seed=1), row("x", "P\u0430ris", noise(40, 24))]:
        (tmp_path / f"{sample['id']}_{sample['text']}.png").write_bytes(sample["image"])
    config = replace(PLAIN, label_pattern=r"_(?P<text>[^_]+)\.png$")
    inspection = inspect([str(tmp_path)], config)
    assert inspection.sets[0].format == "names"
    assert inspection.samples == 31
    assert counts(inspection)["look_alike"] == 1


def test_a_source_in_s3(tmp_path: Path, new_bucket: Callable[[], str]) -> None:
    local, bucket = source(tmp_path / "words"), storage.join(new_bucket(), "words")
    storage.upload_folder(Path(local), bucket)
    there = inspect([bucket], PLAIN)
    assert counts(there) == counts(inspect([local], PLAIN))
    report = storage.join(bucket, "report")
    address = write(there, report)
    assert address == storage.join(report, "report.html")
    values = json.loads(storage.read_bytes(storage.join(report, "report.json")))
    assert values["samples"] == 77


@pytest.mark.slow
def test_pictures_that_harm_decoders_are_findings(tmp_path: Path) -> None:
    cases = {name: case for name, case in poison.corpus().items() if "bomb" not in name}
    lines = []
    for number, (name, case) in enumerate(cases.items()):
        (tmp_path / f"{number:03d}").write_bytes(case.data)
        (tmp_path / f"{number:03d}-good").write_bytes(noise(40, 24, number))
        lines += [f"{number:03d}\t{name}\n", f"{number:03d}-good\tgood\n"]
    (tmp_path / "memory").write_bytes(poison.flat_png(7_900, 8_000, 6, 4))
    (tmp_path / "labels.tsv").write_text("".join([*lines, "memory\tmemory\n"]))
    config = replace(PLAIN, decode_memory_mb=512, examples=200)
    inspection = inspect([str(tmp_path)], config)
    (found,) = (f for f in inspection.findings if f.code == "undecodable")
    bad = {id for (id,) in examples(inspection, "undecodable")}
    assert len(bad) == found.count
    assert "memory" in bad
    for number, case in enumerate(cases.values()):
        name = f"{number:03d}"
        assert f"{name}-good" not in bad
        assert (name in bad and not case.may_read) == bool(case.codes and not case.may_read), name


def test_equal_data_gives_equal_bytes(tmp_path: Path) -> None:
    rows = clean(90, seed=1)
    rows += [row(f"x{i}", rows[i]["text"], rows[i]["image"]) for i in range(0, 30, 3)]
    address = prepared(tmp_path / "set", rows)
    for name in ("one", "two"):
        write(inspect([address], PLAIN), str(tmp_path / name))
    for name in ("report.json", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_limit_holds_for_each_set(tmp_path: Path) -> None:
    sets = [prepared(tmp_path / "a", clean(60, seed=1)), source(tmp_path / "words")]
    inspection = inspect(sets, replace(PLAIN, limit=30))
    assert inspection.set_samples == (30, 30)
    assert by_set(inspection, "undecodable") == {"words": 1}


def test_the_json_is_what_its_schema_says(tmp_path: Path) -> None:
    rows = [*clean(60, seed=1), row("long", "word " * 12 + "end"), row("junk", "x", b"junk")]
    narrow = PictureContract(widths=(64, 96, 128, 192, 256, 384, 512))
    config = replace(PLAIN, charset="alnum_cased", picture=narrow)
    values = inspect([prepared(tmp_path / "set", rows)], config).to_dict()
    assert values == json.loads(json.dumps(values, allow_nan=False))
    assert list(values) == [
        "version", "sets", "samples", "errors", "warnings", "infos", "findings", "characters",
        "charset", "buckets", "histograms", "model", "near",
    ]  # fmt: skip
    assert (values["errors"], values["warnings"], values["infos"]) == (2, 1, 0)
    assert values["findings"][0] == {
        **values["findings"][0],
        "code": "undecodable", "severity": "error", "unit": "sample", "count": 1, "of": 62,
        "share": 1 / 62, "by_set": {"set": 1}, "details": {"reasons": {"undecodable": 1}},
    }  # fmt: skip
    assert values["findings"][0]["examples"][0]["samples"] == [
        {"set": "set", "id": "junk", "text": "x"}
    ]
    assert values["charset"]["chosen"] == "alnum_cased"
    assert values["charset"]["proposed"].startswith(" 0123456789")
    current, proposed = values["buckets"]["current"], values["buckets"]["proposed"]
    assert current["widths"] == list(config.picture.widths)
    assert (current["squeezed"], proposed["squeezed"]) == (1, 1)
    assert proposed["padded_share"] < current["padded_share"]
    assert sum(b["pictures"] for b in current["buckets"]) == 61
    assert values["buckets"]["unsqueezed"]["squeezed"] == 0
    for bins in values["histograms"].values():
        assert sum(b["count"] for b in bins) == 61
    assert values["model"]["time_steps"]["64"] == 16


def test_stretched_pictures_have_no_buckets(tmp_path: Path) -> None:
    picture = PictureContract(mode="fixed", widths=(100,))
    address = prepared(tmp_path / "set", [*clean(40, seed=1), row("long", "a" * 26)])
    inspection = inspect([address], replace(PLAIN, picture=picture))
    assert inspection.to_dict()["buckets"] is None
    assert counts(inspection) == {"too_long_for_width": 1}
    assert max(b.low for b in inspection.histograms["width_px"]) > 100


def test_what_can_not_be_inspected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to inspect"):
        plan_inspection([], PLAIN)
    with pytest.raises(DataError, match="nowhere"):
        plan_inspection([str(tmp_path / "nowhere")], PLAIN)
    address = prepared(tmp_path / "set", clean(10, seed=1))
    with pytest.raises(ValueError, match="more than once"):
        plan_inspection([address, address], PLAIN)
    with pytest.raises(ValueError, match="--limit is -1"):
        InspectConfig(limit=-1)
    with pytest.raises(ValueError, match="--examples is 0"):
        InspectConfig(examples=0)
    next((tmp_path / "set").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="missing"):
        plan_inspection([address], PLAIN)
