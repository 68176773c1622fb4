from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import DataError
from pipelines.shards import (
    MANIFEST_NAME,
    REJECT_SCHEMA,
    SCHEMA,
    Manifest,
    Part,
    Reject,
    Sample,
    ShardWriter,
    check_sizes,
    finish,
    load_manifest,
    read_row_group,
)


def sample(number: int, *, text: str = "ab", size: int = 10, width: int = 40) -> Sample:
    image = number.to_bytes(4, "little") * (size // 4 + 1)
    return Sample(
        id=f"{number}.jpg",
        image=image[:size],
        text=text,
        width=width,
        height=32,
        source="set",
        group=f"g{number // 3}" if number % 2 else None,
    )


def written(folder: Path, samples: list[Sample], **limits: int) -> Manifest:
    with ShardWriter(str(folder), "part", **limits) as writer:
        writer.write(samples)
    return finish(str(folder), [writer.close()], {"made_by": "test"})


def read_all(folder: Path, manifest: Manifest) -> list[Sample]:
    return [
        row
        for shard in manifest.shards
        for index in range(len(shard.row_groups))
        for row in read_row_group(str(folder), shard.name, index).to_pylist()
    ]


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    group_rows=st.integers(1, 7),
    group_bytes=st.integers(1, 900),
    shard_bytes=st.integers(1, 3000),
)
def test_every_sample_comes_back_once_in_order_within_the_limits(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    group_rows: int,
    group_bytes: int,
    shard_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    samples = [sample(number, size=size) for number, size in enumerate(sizes)]
    limits = {
        "row_group_rows": group_rows,
        "row_group_bytes": group_bytes,
        "shard_bytes": shard_bytes,
    }
    manifest = written(folder, samples, **limits)
    assert read_all(folder, manifest) == samples
    assert manifest.count == len(samples) == sum(shard.rows for shard in manifest.shards)
    for shard in manifest.shards:
        assert sum(shard.row_groups) == shard.rows
        assert (folder / shard.name).stat().st_size == shard.bytes
        groups = [
            [len(b.as_py()) for b in read_row_group(str(folder), shard.name, i)["image"]]
            for i in range(len(shard.row_groups))
        ]
        assert [len(group) for group in groups] == list(shard.row_groups)
        assert all(len(group) <= group_rows for group in groups)
        assert all(sum(group) <= group_bytes or len(group) == 1 for group in groups)
        assert sum(map(sum, groups)) <= shard_bytes or len(groups) == 1


def test_manifest_counts_what_was_written(tmp_path: Path) -> None:
    samples = [
        sample(0, text="aé", width=1),
        sample(1, text="a文b", width=32),
        sample(2, text="b", width=33),
    ]
    manifest = written(tmp_path, samples)
    assert manifest.characters == {"a": 2, "b": 2, "é": 1, "文": 1}
    assert manifest.length_histogram == {1: 1, 2: 1, 3: 1}
    assert manifest.width_histogram == {32: 2, 64: 1}
    assert load_manifest(str(tmp_path)) == manifest


def test_files_have_the_promised_columns(tmp_path: Path) -> None:
    with ShardWriter(str(tmp_path), "p") as writer:
        writer.write([sample(0)])
        row = Reject(id="x", reason="undecodable", message="why", source="set", image=b"\x00")
        writer.reject([row, {**row, "id": "y", "image": None}])
    shard = pq.read_table(tmp_path / "p-000.parquet")
    assert shard.schema.equals(SCHEMA)
    rejects = pq.read_table(tmp_path / "rejects" / "p.parquet")
    assert rejects.schema.equals(REJECT_SCHEMA)
    assert rejects.to_pylist() == [row, {**row, "id": "y", "image": None}]
    assert writer.close().rejects == {"undecodable": 2}


def test_digest_is_of_the_data_not_of_its_place(tmp_path: Path) -> None:
    samples = [sample(number) for number in range(5)]
    one = written(tmp_path / "one", samples)
    two = written(tmp_path / "two", samples)
    assert one == two
    for key, value in {"id": "z", "text": "other", "image": b"other"}.items():
        changed = [*samples[:-1], {**samples[-1], key: value}]
        assert written(tmp_path / key, changed).digest != one.digest  # type: ignore[arg-type]


counts = st.dictionaries(st.sampled_from("abc"), st.integers(1, 9))
histograms = st.dictionaries(st.integers(0, 5), st.integers(1, 9))
parts = st.builds(
    Part,
    count=st.integers(0, 99),
    characters=counts,
    length_histogram=histograms,
    width_histogram=histograms,
    rejects=counts,
)


@given(a=parts, b=parts)
def test_parts_add_and_survive_json(a: Part, b: Part) -> None:
    both = a + b
    assert both.total == a.total + b.total
    assert Counter(both.characters) == Counter(a.characters) + Counter(b.characters)
    assert Part() + a == a
    assert Part.from_dict(json.loads(both.to_json())) == both


def test_a_writer_that_fails_leaves_no_shard(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(str(tmp_path), "p", row_group_rows=1) as writer:
        writer.write([sample(0), sample(1)])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 3, 0.5, -1])
def test_a_shard_cut_short_is_named(tmp_path: Path, keep: float) -> None:
    manifest = written(tmp_path, [sample(number, size=1000) for number in range(20)])
    path = tmp_path / manifest.shards[0].name
    whole = path.read_bytes()
    check_sizes(str(tmp_path), manifest)
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"part-000\.parquet.*cut short"):
        read_row_group(str(tmp_path), path.name, 0)
    with pytest.raises(DataError, match=r"part-000\.parquet.*cut short"):
        check_sizes(str(tmp_path), manifest)


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    manifest = written(tmp_path, [sample(0, size=5000)])
    path = tmp_path / manifest.shards[0].name
    damaged = bytearray(path.read_bytes())
    damaged[2500] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"part-000\.parquet"):
        read_row_group(str(tmp_path), path.name, 0)


def test_missing_shards_and_row_groups_are_named(tmp_path: Path) -> None:
    manifest = written(tmp_path, [sample(0)])
    with pytest.raises(DataError, match="1 row groups, none is 1"):
        read_row_group(str(tmp_path), manifest.shards[0].name, 1)
    (tmp_path / manifest.shards[0].name).unlink()
    with pytest.raises(DataError, match=r"part-000\.parquet is missing"):
        read_row_group(str(tmp_path), manifest.shards[0].name, 0)
    with pytest.raises(DataError, match=r"part-000\.parquet is missing"):
        check_sizes(str(tmp_path), manifest)


def test_reading_picks_columns(tmp_path: Path) -> None:
    manifest = written(tmp_path, [sample(7, text="seven")])
    table = read_row_group(str(tmp_path), manifest.shards[0].name, 0, ["id", "text"])
    assert table.to_pylist() == [{"id": "7.jpg", "text": "seven"}]


def test_folders_without_a_usable_manifest_say_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no"):
        load_manifest(str(tmp_path / "none"))
    with pytest.raises(DataError, match="is empty"):
        load_manifest(str(tmp_path))
    (tmp_path / "part-00000-000.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="unfinished"):
        load_manifest(str(tmp_path))


def test_a_manifest_one_folder_down_is_pointed_at(tmp_path: Path) -> None:
    written(tmp_path / "train", [sample(0)])
    with pytest.raises(DataError, match=r"\['train'\]"):
        load_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99; expected 1"),
        ({"shards": [{"name": "x"}]}, "damaged"),
        ({"count": None}, "damaged"),
    ],
)
def test_other_versions_and_damage_are_told_apart(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    manifest = written(tmp_path, [sample(0)])
    values = {**dataclasses.asdict(manifest), **change}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(DataError, match=message):
        load_manifest(str(tmp_path))


def test_a_manifest_cut_short_is_damaged(tmp_path: Path) -> None:
    written(tmp_path, [sample(0)])
    path = tmp_path / MANIFEST_NAME
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged"):
        load_manifest(str(tmp_path))
