"""Ids told apart, texts by the rules, splits by groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.prepare.config import PrepareConfig, source_names
from pipelines.prepare.entries import Entries, Entry, split_of
from pipelines.sources import open_source
from tests.pipelines.evaluation_cases import sample, write_set
from tests.pipelines.sources.made import PICTURE, files
from tests.unprivileged import as_nobody, open_folder


def listed(
    folders: Sequence[Path], config: PrepareConfig
) -> tuple[list[tuple[str, Entry]], Entries]:
    sources = [open_source(str(folder), options=config.options) for folder in folders]
    entries = Entries(sources, source_names(config, sources), config)
    return [entry for page in entries.pages() for entry in page], entries


def test_groups_go_with_the_entry_and_come_back_from_a_prepared_set(tmp_path: Path) -> None:
    rows = [{**sample(f"s{n}", str(n)), "group": f"g{n % 2}" if n else None} for n in range(4)]
    write_set(tmp_path / "set", rows)  # type: ignore[arg-type]
    source = open_source(str(tmp_path / "set"))
    (page,) = Entries([source], ["set"], PrepareConfig()).pages()
    assert [entry.group for _, entry in page] == ["", "g1", "g0", "g1"]
    by_pattern = PrepareConfig(group_pattern=r"s(\d)")
    (page,) = Entries([source], ["set"], by_pattern).pages()
    assert [entry.group for _, entry in page] == ["0", "1", "2", "3"]


def test_an_id_counts_once_and_rejects_before_it_do_not_take_it(tmp_path: Path) -> None:
    files(tmp_path, {"labels.tsv": "a.jpg\t \na.jpg\tA\nb.jpg\tB\na.jpg\tC\nbad\n"})
    found, entries = listed([tmp_path], PrepareConfig())
    assert [(entry.id, entry.text, entry.reason) for _, entry in found] == [
        ("a.jpg", "", "empty_label"),
        ("a.jpg", "A", ""),
        ("b.jpg", "B", ""),
        ("a.jpg", "", "duplicate_id"),
        ("labels.tsv:5", "", "bad_line"),
    ]
    assert entries.has(0, ["a.jpg", "c.jpg", "b.jpg"]) == [True, False, True]


def test_several_sources_have_their_names_before_ids(tmp_path: Path) -> None:
    for name in ("one", "two"):
        files(tmp_path / name, {"labels.tsv": f"a.jpg\t{name}\n"})
    folders = [tmp_path / "one", tmp_path / "two"]
    found, _ = listed(folders, PrepareConfig())
    assert [(e.id, e.text, e.set, e.source) for _, e in found] == [
        ("one/a.jpg", "one", 0, "one"),
        ("two/a.jpg", "two", 1, "two"),
    ]
    found, _ = listed(folders, PrepareConfig(prefix_ids=False, source_name=("x", "x")))
    assert [(e.id, e.reason, e.source) for _, e in found] == [
        ("a.jpg", "", "x"),
        ("a.jpg", "duplicate_id", "x"),
    ]
    with pytest.raises(ValueError, match="distinct names"):
        listed(folders, PrepareConfig(source_name=("x", "x")))
    with pytest.raises(ValueError, match="1 names for 2 sources"):
        listed(folders, PrepareConfig(source_name=("x",)))


def test_rules_and_filters_and_what_they_reject(tmp_path: Path) -> None:
    lines = {"1.jpg": "Ähre", "2.jpg": "中", "3.jpg": "long enough", "4.jpg": "“q”", "x.jpg": "ok"}
    files(tmp_path, {"labels.tsv": "".join(f"{k}\t{v}\n" for k, v in lines.items())})
    config = PrepareConfig(
        charset="ascii_space", unknown="fold", keep_id=r"^\d", keep_text="[^q]", max_length=10
    )
    found, _ = listed([tmp_path], config)
    assert [(e.id, e.text, e.reason, e.has_picture) for _, e in found] == [
        ("1.jpg", "Ahre", "", True),
        ("2.jpg", "", "unknown_character", True),
        ("3.jpg", "", "filtered", False),
        ("4.jpg", '"q"', "", True),
        ("x.jpg", "", "filtered", False),
    ]


def test_a_group_stays_together_and_an_id_without_one_is_a_reject(tmp_path: Path) -> None:
    names = [f"{receipt:03d}_{line}.jpg" for receipt in range(60) for line in range(4)]
    files(tmp_path, {"labels.tsv": "".join(f"{name}\tx\n" for name in [*names, "odd.jpg"])})
    config = PrepareConfig(group_pattern=r"^(\d+)_", val_share=0.2, test_share=0.2)
    found, _ = listed([tmp_path], config)
    assert found[-1][1].reason == "no_group"
    splits: dict[str, set[str]] = {}
    for split, entry in found[:-1]:
        splits.setdefault(entry.id[:3], set()).add(split)
    assert all(len(of_receipt) == 1 for of_receipt in splits.values())
    assert {split for of_receipt in splits.values() for split in of_receipt} == {
        "train", "val", "test",
    }  # fmt: skip
    whole, _ = listed([tmp_path], PrepareConfig(group_pattern=r"^\d+", val_share=0.2))
    again = {entry.id[:3]: split for split, entry in whole[:-1]}
    assert all((again[r] == "val") == (splits[r] == {"val"}) for r in splits)


def test_a_column_gives_the_group(tmp_path: Path) -> None:
    lines = ["file,text,receipt", *(f"{n}.jpg,x,{n // 5}" for n in range(200))]
    files(tmp_path, {"labels.csv": "\n".join(lines)})
    found, _ = listed([tmp_path], PrepareConfig(group_column="receipt", val_share=0.5))
    by_group = Counter((int(entry.id[:-4]) // 5, split) for split, entry in found)
    assert set(by_group.values()) == {5}


def test_shares_are_what_is_asked_for() -> None:
    config = PrepareConfig(val_share=0.1, test_share=0.2)
    counts = Counter(split_of(f"id {number}", config) for number in range(20_000))
    assert 0.085 < counts["val"] / 20_000 < 0.115
    assert 0.18 < counts["test"] / 20_000 < 0.22
    assert split_of("anything", PrepareConfig()) == ""


def test_a_name_that_is_no_unicode_becomes_a_reject(tmp_path: Path) -> None:
    files(tmp_path, {"caf\udce9.jpg": PICTURE, "b.jpg": PICTURE})
    found, _ = listed([tmp_path], PrepareConfig(label_pattern=r"(?P<text>.+)\.jpg"))
    assert [(e.id, e.reason, e.has_picture) for _, e in found] == [
        ("b.jpg", "", True),
        ("caf\\udce9.jpg", "bad_name", False),
    ]


def test_a_folder_that_may_not_be_read_is_a_reject_with_its_path() -> None:
    with open_folder() as root:
        files(root, {"a.jpg": PICTURE, "secret/b.jpg": PICTURE})
        (root / "secret").chmod(0)
        with as_nobody():
            found, _ = listed([root], PrepareConfig(label_pattern=r"(?P<text>.+)\.jpg"))
    assert [(e.id, e.reason) for _, e in found] == [("a.jpg", ""), ("secret", "unreadable")]


@pytest.mark.parametrize(
    "values",
    [
        {"val_share": 0.6, "test_share": 0.5},
        {"test_share": -0.1},
        {"group_pattern": "("},
        {"keep_text": "["},
        {"max_length": -1},
        {"unknown": "drop"},
        {"decode_timeout_s": 0},
        {"decode_memory_mb": 1},
        {"max_pixels": 1 << 40},
    ],
)
def test_settings_that_make_no_sense_name_their_flag(values: dict) -> None:
    with pytest.raises(ValueError, match="--"):
        PrepareConfig(**values)
