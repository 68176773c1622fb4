"""The stream on a real Ray: what reaches the ranks, in which order, after which cursor."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from crnn.text.charset import Charset
from crnn.text.order import TEXT_ORDERS
from jobs.training.data import checked
from jobs.training.settings import TrainSettings
from pipelines.stream import flow
from pipelines.stream.assemble import StreamConfig
from pipelines.stream.cursor import Cursor
from pipelines.stream.plan import CHUNK_ROWS, StreamSource
from pipelines.stream.rows import Delivery, deliveries
from pipelines.stream.scan import scan_labels
from tests.crnn.training.pictures import drawn
from tests.pipelines.stream.sets import bad, config_for, good, sample, write_set

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StreamConfig:
    folder = tmp_path_factory.mktemp("set")
    return config_for(write_set(folder, [*good(230), *bad()]))


def delivered(
    config: StreamConfig, cursor: Cursor, *, epochs: int, ranks: int
) -> list[list[Delivery]]:
    """What each of ``ranks`` concurrent readers gets."""
    work = flow.work_left(config, cursor, epochs)
    iterators = flow.split(flow.ready_batches(config, work), ranks)
    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(lambda it: list(flow.read(it)), iterators))


def ids(part: list[Delivery]) -> Counter[str]:
    return Counter(sample_id for d in part for sample_id in d.batch.ids)


@pytest.mark.parametrize(
    "ranks", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_every_sample_of_every_epoch_reaches_exactly_one_rank(
    config: StreamConfig, ranks: int
) -> None:
    parts = delivered(config, Cursor(), epochs=2, ranks=ranks)
    for epoch in (0, 1):
        seen = sum((ids([d for d in part if d.epoch == epoch]) for part in parts), Counter[str]())
        assert seen == Counter(f"good-{i}" for i in range(230))
    for part in parts:
        assert [d.epoch for d in part] == sorted(d.epoch for d in part)
        assert part, "no rank goes without"


def test_the_stream_goes_on_from_a_cursor_without_loss_or_repetition(config: StreamConfig) -> None:
    (whole,) = delivered(config, Cursor(), epochs=1, ranks=1)
    done, left = whole[: len(whole) // 2], whole[len(whole) // 2 :]
    cursor = Cursor()
    cursor.add((d.chunk, d.index, d.batches) for d in done)
    parts = delivered(config, cursor, epochs=1, ranks=2)
    assert sum((ids(part) for part in parts), Counter[str]()) == ids(left)


def test_a_long_run_is_cut_into_executions_that_cover_every_chunk_once(
    config: StreamConfig,
) -> None:
    groups = tuple(("a.parquet", i, CHUNK_ROWS) for i in range(flow.MAX_CHUNKS * 2 // 3))
    long = replace(config, sources=(StreamSource(uri="nowhere", groups=groups),))
    cursor = Cursor()
    seen: list[tuple[int, int]] = []
    while cursor.epoch < 3:
        work = flow.work_left(long, cursor, epochs=3)
        assert len(work) == min(flow.MAX_CHUNKS, 3 * len(groups) - len(seen))
        seen += [(chunk.epoch, chunk.index) for chunk, _ in work]
        for epoch in sorted({chunk.epoch for chunk, _ in work}):
            cursor.add((chunk.index, 0, 1) for chunk, _ in work if chunk.epoch == epoch)
            if flow.epoch_done(long, cursor):
                cursor.next_epoch()
    assert seen == [(epoch, index) for epoch in range(3) for index in range(len(groups))]


def test_validation_blocks_hold_the_whole_set_unaugmented(config: StreamConfig) -> None:
    blocks = ray.get(flow.validation_blocks(config))
    assert sum((ids(list(deliveries(b))) for b in blocks), Counter[str]()) == Counter(
        f"good-{i}" for i in range(230)
    )


def test_the_scan_counts_what_the_stream_would_refuse(config: StreamConfig) -> None:
    scan = scan_labels(config)
    assert scan.usable == 232, "undecodable pictures are found later, when they are decoded"
    assert scan.refused == {"empty_label": 1, "unknown_character": 1, "too_long_for_width": 1}
    assert scan.unknown_characters == {"x": 1}


def test_the_scan_counts_labels_in_visual_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["שלום", "לום", "םולש", "מול", "םול"]
    rows = [sample(f"{n}", text, drawn("1234")) for n, text in enumerate(labels)]
    config = replace(config_for(write_set(tmp_path, rows)), charset=Charset("שלוםמ"))
    scan = scan_labels(config)
    assert (scan.usable, scan.backwards) == (5, 2)
    assert scan.backwards_example == "םולש"
    for order in TEXT_ORDERS:
        checked(TrainSettings(), replace(config, charset=Charset("שלוםמ", order)), "training")
        told = capsys.readouterr().out
        assert ("2 of 5 labels" in told) == ("--text-order" in told) == (order != "logical")


def test_a_shard_cut_short_is_named(tmp_path: Path) -> None:
    uri = write_set(tmp_path, good(60))
    (shard,) = tmp_path.glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-200])
    config = config_for(uri)
    with pytest.raises(Exception, match=shard.name):
        delivered(config, Cursor(), epochs=1, ranks=1)


def test_calm_has_every_hook_that_ray_calls() -> None:
    """``Calm`` is no subclass of Ray's own class, which isn't public (Ray 2.60)."""
    from ray.data._internal.execution.execution_callback import ExecutionCallback

    hooks = {name for name in vars(ExecutionCallback) if not name.startswith("_")}
    assert "on_execution_step" in hooks
    missing = hooks - vars(flow.Calm).keys()
    assert not missing, f"Ray calls these of each callback too; give them to Calm: {missing}"
