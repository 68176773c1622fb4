"""Evaluation and bulk jobs obey the bundle's reading policy as ``Recognizer.read`` does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn import Bundle, Recognizer, Result, load_bundle
from crnn.bundle.reading_policy import ReadingPolicy
from crnn.errors import PictureError
from crnn.inference.readings import Readings
from pipelines.evaluation.plan import Piece
from pipelines.evaluation.reader import PieceReader, ReaderConfig
from pipelines.recognition import BulkConfig, plan_work
from pipelines.recognition.inputs import SCHEMA
from pipelines.recognition.reader import ChunkReader
from pipelines.recognition.rows import RESULT_SCHEMA, as_results, result_table
from tests.crnn.networks import noise
from tests.crnn.poison import encoded
from tests.pipelines.evaluation_cases import digits, random_bundle, sample, write_set

POLICY = ReadingPolicy(stretches=(1.3, 2.0), below=0.9)
PICTURES = [
    *(row["image"] for row in digits(30, seed=2)),
    *(encoded(Image.fromarray(noise(seed, 45, 90))) for seed in range(12)),
    *(encoded(Image.fromarray(noise(seed, 16, 32))) for seed in range(12)),
    encoded(Image.fromarray(np.full((20, 400), 255, np.uint8))),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    loaded = load_bundle(random_bundle(tmp_path_factory.mktemp("policy") / "bundle"))
    return replace(loaded, reading=POLICY, digest="0" * 64)


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> list[Result]:
    results = Recognizer(bundle).read(PICTURES)
    once = Recognizer(replace(bundle, reading=ReadingPolicy(below=0.0))).read(PICTURES)
    assert {result.turned for result in results} > {0} and any(r.squeezed for r in results)
    assert sum(a.text != b.text for a, b in zip(results, once, strict=True)) > 3
    return results


def test_bulk_rows_are_what_a_program_reads(
    bundle: Bundle, expected: list[Result], tmp_path: Path
) -> None:
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, data in enumerate(PICTURES):
        (folder / f"{number:03}.png").write_bytes(data)
    (folder / "999.png").write_bytes(b"")
    work = plan_work(random_bundle(tmp_path / "b"), str(folder), str(tmp_path / "o"), BulkConfig())
    while not work.agenda.wait():
        pass
    outcomes = list(ChunkReader(replace(work.read, bundle=bundle))(work.agenda.take()))
    results = Path(work.ledger.results_uri)
    rows = pa.concat_tables(pq.read_table(results / outcome.part) for outcome in outcomes)
    *good, bad = rows.sort_by("uri").to_pylist()
    for row, result in zip(good, expected, strict=True):
        assert (row["text"], row["turned"], row["squeezed"]) == (
            result.text, result.turned, result.squeezed,
        )  # fmt: skip
        assert row["confidence"] == pytest.approx(result.confidence, abs=1e-4)
        spans = [char.x1 for char in result.chars]
        assert [char["x1"] for char in row["chars"]] == pytest.approx(spans, abs=1e-3)
    assert (bad["error_code"], bad["turned"], bad["squeezed"]) == ("empty_file", None, None)


def test_an_evaluation_reads_the_same(
    bundle: Bundle, expected: list[Result], tmp_path: Path
) -> None:
    rows = [sample(f"s{n:03}", "12", data) for n, data in enumerate(PICTURES)]
    uri = write_set(tmp_path / "set", rows, row_group_rows=100)
    [shard] = [path.name for path in Path(uri).glob("*.parquet")]
    config = ReaderConfig(
        bundle=bundle, decoder=None, lexicon=None, engine="auto", held_out_share=0, use_gpu=False
    )
    piece = Piece(set="set", uri=uri, shard=shard, index=0, start=0, stop=len(rows))
    found = PieceReader(config)(piece).predictions.to_pylist()
    for row, result in zip(found, expected, strict=True):
        assert (row["text"], row["turned"], row["squeezed"]) == (
            result.text, result.turned, result.squeezed,
        )  # fmt: skip
        assert row["confidence"] == pytest.approx(result.confidence, abs=1e-4)


def test_an_empty_reading_is_below_any_minimum_and_other_than_a_failure() -> None:
    empty = Readings.failed([PictureError("a", "b")] * 2, "m")
    readings = replace(empty, errors={1: PictureError("undecodable", "broken")})
    inputs = pa.Table.from_pylist([{"uri": "a"}, {"uri": "b"}], schema=SCHEMA)
    found, failed = result_table(inputs, readings, min_confidence=0.5, chars=False).to_pylist()
    assert (found["text"], found["confidence"], found["error_code"]) == ("", 0, "low_confidence")
    assert (failed["text"], failed["confidence"]) == (None, None)
    table = result_table(inputs, readings, min_confidence=0, chars=False)
    assert table["error_code"].to_pylist() == [None, "undecodable"]


def test_rows_of_a_time_without_these_columns_are_still_rows() -> None:
    readings = Readings.failed([PictureError("a", "b")], "m")
    inputs = pa.Table.from_pylist([{"uri": "a"}], schema=SCHEMA)
    table = result_table(inputs, readings, min_confidence=0, chars=True)
    old = as_results(table.drop_columns(["turned", "squeezed"]))
    assert old.schema == RESULT_SCHEMA
    assert old.to_pylist() == [{**table.to_pylist()[0], "turned": None, "squeezed": None}]
