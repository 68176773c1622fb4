from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.augment import AugmentConfig
from pipelines.holdout import is_held_out
from pipelines.stream.assemble import AssembledBatch, StreamConfig, assemble_chunk
from pipelines.stream.plan import epoch_chunks
from pipelines.stream.rows import deliveries, to_row
from tests.pipelines.stream.sets import bad, config_for, good, write_set


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StreamConfig:
    folder = tmp_path_factory.mktemp("set")
    return config_for(write_set(folder, [*good(150), *bad()]))


def batches(config: StreamConfig, *, epoch: int = 0, done: int = 0) -> list[AssembledBatch]:
    (chunk,) = epoch_chunks(config.sources, seed=config.seed, epoch=epoch)
    return list(assemble_chunk(config, chunk, done))


def ids(found: list[AssembledBatch]) -> list[str]:
    return [label.id for batch in found for label in batch.labels]


def test_every_good_sample_once_and_every_bad_one_with_its_reason(config: StreamConfig) -> None:
    found = batches(config)
    assert Counter(ids(found)) == Counter(f"good-{i}" for i in range(150))
    refusals = {r.id: r.reason for batch in found for r in batch.refusals}
    assert refusals == {row["id"]: row["id"].removeprefix("bad-") for row in bad()}


def test_a_group_stays_on_one_side_of_the_hold_out(tmp_path: Path) -> None:
    rows = [{**row, "group": f"receipt {n % 20}"} for n, row in enumerate(good(150))]
    config = config_for(write_set(tmp_path / "set", rows))  # type: ignore[arg-type]
    sides = [
        {int(id.removeprefix("good-")) for id in ids(batches(side))}
        for held_out in (False, True)
        for side in [replace(config, held_out_share=0.3, held_out=held_out)]
    ]
    assert sides[0] | sides[1] == set(range(150))
    groups = [{number % 20 for number in side} for side in sides]
    assert groups[0] and groups[1] and not groups[0] & groups[1]


def test_a_set_without_groups_is_read_and_split_by_its_ids(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "old", good(150))
    (shard,) = Path(folder).glob("*.parquet")
    table = pq.read_table(shard).drop_columns("group")
    pq.write_table(table, shard, row_group_size=40)
    config = replace(config_for(folder), held_out_share=0.3, held_out=True)
    expected = {id for id in table["id"].to_pylist() if is_held_out(id, 0.3)}
    assert set(ids(batches(config))) == expected


def test_a_batch_holds_one_bucket_and_no_more_than_its_pixels(config: StreamConfig) -> None:
    for batch in batches(config):
        count, height, width, _ = batch.pixels_NHWC.shape
        assert {label.bucket_px for label in batch.labels} <= {width}
        assert count == len(batch.labels)
        assert count * height * width <= config.batch_pixels


def test_the_same_chunk_gives_the_same_batches(config: StreamConfig) -> None:
    augmented = replace(config, augment=AugmentConfig())
    for one, other in zip(batches(augmented), batches(augmented), strict=True):
        assert [label.id for label in one.labels] == [label.id for label in other.labels]
        np.testing.assert_array_equal(one.pixels_NHWC, other.pixels_NHWC)


def test_epochs_are_shuffled_and_augmented_anew(config: StreamConfig) -> None:
    augmented = replace(config, augment=AugmentConfig())
    first, second = batches(augmented), batches(augmented, epoch=1)
    assert ids(first) != ids(second)
    assert sorted(ids(first)) == sorted(ids(second))


def test_what_is_done_is_left_out_and_the_rest_is_unchanged(config: StreamConfig) -> None:
    whole = batches(config)
    left = batches(config, done=0b1011)
    assert [batch.batch for batch in left] == [b.batch for b in whole if b.batch not in (0, 1, 3)]
    assert ids(left) == ids([b for b in whole if b.batch not in (0, 1, 3)])


def test_a_held_out_share_and_the_rest_are_the_whole(config: StreamConfig) -> None:
    rest = ids(batches(replace(config, held_out_share=0.3)))
    held = ids(batches(replace(config, held_out_share=0.3, held_out=True)))
    assert not set(rest) & set(held)
    assert sorted(rest + held) == sorted(ids(batches(config)))
    assert 20 < len(held) < 70


def test_a_chunk_without_a_usable_sample_still_reports_its_refusals(tmp_path: Path) -> None:
    (batch,) = batches(config_for(write_set(tmp_path, bad()[:3])))
    assert (batch.batch, batch.batches, len(batch.labels)) == (0, 1, 0)
    assert len(batch.refusals) == 3


def test_a_row_carries_the_batch_whole(config: StreamConfig) -> None:
    for batch in batches(config)[:3]:
        (delivery,) = deliveries(to_row(batch))
        assert (delivery.chunk, delivery.index, delivery.batches) == (0, batch.batch, batch.batches)
        np.testing.assert_array_equal(delivery.batch.images_NHWC.numpy(), batch.pixels_NHWC)
        assert delivery.batch.texts(config.charset) == [
            config.charset.text(label.target) for label in batch.labels
        ]
        assert delivery.refusals == batch.refusals
