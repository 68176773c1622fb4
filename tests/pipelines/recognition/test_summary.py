from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.files import storage
from pipelines.recognition.page import page
from pipelines.recognition.plan import Ledger
from pipelines.recognition.rows import RESULT_SCHEMA
from pipelines.recognition.summary import (
    HTML_FILE,
    REPORT_FILE,
    RunFigures,
    summarise,
    write_summary,
)
from pipelines.recognition.sums import (
    ERROR_EXAMPLES,
    LEAST_CONFIDENT,
    ResultSums,
    Summed,
    as_file,
)
from tests.pipelines.evaluation_cases import random_bundle
from tests.pipelines.recognition.results import as_text
from tests.pipelines.test_report import EVIL, Outline

REGION = [10.0, 20.0, 110.0, 20.0, 110.0, 50.0, 10.0, 50.0]
RUN = RunFigures(
    pictures=80,
    seconds=16.0,
    started="2026-01-02T03:04:05+00:00",
    finished="2026-01-02T03:04:25+00:00",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(random_bundle(tmp_path_factory.mktemp("bundle")))


def read(number: int, text: str, confidence: float, **more: Any) -> dict[str, Any]:
    chars = [
        {"char": c, "probability": 0.5 + i / 16, "x0": 4.0 * i, "x1": 4.0 * i + 4}
        for i, c in enumerate(text)
    ]
    row = {"uri": f"s3://b/{number}.png", "text": text, "confidence": confidence, "chars": chars}
    return row | more


def failed(number: int, code: str, **more: Any) -> dict[str, Any]:
    row = {"uri": f"s3://b/bad{number}.png", "error_code": code, "error_message": f"why {number}"}
    return row | more


def results(
    out: str, bundle: Bundle, *parts: Sequence[dict[str, Any]], with_sums: Container[int] = ()
) -> Ledger:
    """A ledger whose results files hold these rows, some of the files with their sums too."""
    ledger = Ledger(out, bundle.digest)
    for number, rows in enumerate(parts):
        name, table = part(number), table_of(bundle, rows)
        address = storage.join(ledger.results_uri, name)
        if number in with_sums:
            storage.write_bytes(address, as_file(table, ResultSums.of(name, table)))
        else:
            with storage.replacing(address) as path:
                pq.write_table(table, path)
    return ledger


def part(number: int) -> str:
    return f"part-00000-{number:05d}.parquet"


def table_of(bundle: Bundle, rows: Sequence[dict[str, Any]]) -> pa.Table:
    filled = [{"etag": "1", "model": bundle.digest, **row} for row in rows]
    return pa.Table.from_pylist(filled, schema=RESULT_SCHEMA)


def many(count: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        read(seed * count + i, "x" * int(rng.integers(0, 9)), float(rng.random()))
        for i in range(count)
    ]


def test_counts_are_those_of_all_rows(tmp_path: Path, bundle: Bundle) -> None:
    parts = [many(90, seed) for seed in range(3)]
    rows = [row for part in parts for row in part]
    report = summarise(results(str(tmp_path), bundle, *parts), bundle=bundle, run=RUN)
    assert (report["rows"], report["read"], report["files"]) == (270, 270, 3)
    lengths = [len(row["text"]) for row in rows]
    assert report["length_histogram"] == {str(n): lengths.count(n) for n in sorted(set(lengths))}
    assert report["empty_texts"] == lengths.count(0)
    fifths = np.array(report["confidence_histogram"]).reshape(5, -1).sum(axis=1).tolist()
    assert fifths == [sum(i <= 5 * row["confidence"] < i + 1 for row in rows) for i in range(5)]
    least = sorted(rows, key=lambda row: row["confidence"])[:LEAST_CONFIDENT]
    assert [e["uri"] for e in report["least_confident"]] == [row["uri"] for row in least]
    assert [len(e["chars"]) for e in report["least_confident"]] == [len(r["text"]) for r in least]
    assert report["run"]["pictures_per_s"] == 5.0
    assert report["run"]["started"] == RUN.started


def test_errors_come_with_their_first_examples(tmp_path: Path, bundle: Bundle) -> None:
    bad = [failed(i, "undecodable") for i in range(30)]
    odd = failed(99, "bad_region", region=[1.0, math.nan, 3.0])
    unsure = failed(98, "low_confidence", confidence=0.05)
    report = summarise(
        results(str(tmp_path), bundle, [*bad[:4], read(1, "7", 0.9)], [odd, *bad[4:], unsure]),
        bundle=bundle,
    )
    assert report["errors"] == {"undecodable": 30, "bad_region": 1, "low_confidence": 1}
    assert report["rows"] - report["read"] == 32
    examples = report["error_examples"]
    assert [e["uri"] for e in examples["undecodable"]] == [
        row["uri"] for row in bad[:ERROR_EXAMPLES]
    ]
    assert examples["bad_region"][0]["region"] == [1.0, None, 3.0]
    assert [e["text"] for e in report["least_confident"]] == ["7"]
    assert sum(report["confidence_histogram"]) == 2
    assert json.dumps(report, allow_nan=False)


CODES = ("undecodable", "not_found", "too_large", "low_confidence")


def mixed(seed: int) -> list[dict[str, Any]]:
    """Rows with equal confidences among them, without any, and errors of all kinds."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(int(rng.integers(0, 60))):
        sure = float(rng.integers(0, 9)) / 8
        if rng.random() < 0.2:
            code = CODES[int(rng.integers(len(CODES)))]
            unsure = {"text": "7", "confidence": sure} if code == "low_confidence" else {}
            rows.append(failed(100 * seed + number, code, **unsure))
        else:
            text = "x" * int(rng.integers(0, 9))
            rows.append(read(100 * seed + number, text, sure, model="abc"[int(rng.integers(3))]))
            if rng.random() < 0.1:
                rows[-1] |= {"text": "", "confidence": None}
    return rows


@pytest.mark.parametrize("seed", range(8))
def test_sums_of_a_run_and_of_files_say_what_rows_say(
    tmp_path: Path, bundle: Bundle, seed: int
) -> None:
    parts = [mixed(100 * seed + number) for number in range(12)]
    expected = summarise(results(str(tmp_path / "rows"), bundle, *parts), bundle=bundle)
    ledger = results(str(tmp_path / "sums"), bundle, *parts, with_sums=range(2, 12))
    order = np.random.default_rng(seed).permutation(12).tolist()
    for told in (0, 5, 12):
        summed = Summed()
        for number in [*order[:told], *order[:3]]:
            summed.add(part(number), ResultSums.of(part(number), table_of(bundle, parts[number])))
        report = summarise(ledger, bundle=bundle, summed=summed)
        assert as_text(report, "results") == as_text(expected, "results")


def test_rows_are_read_of_files_with_examples_alone(tmp_path: Path, bundle: Bundle) -> None:
    unsure = [read(number, "7", 0.1) for number in range(LEAST_CONFIDENT)]
    sure = [read(1000 + number, "77", 0.9) for number in range(9)]
    expected = summarise(results(str(tmp_path / "rows"), bundle, unsure, sure), bundle=bundle)
    ledger = results(str(tmp_path / "sums"), bundle, unsure, sure, with_sums=range(2))
    path = Path(ledger.results_uri) / part(1)
    data, end = path.read_bytes(), pq.read_metadata(path).serialized_size + 8
    path.write_bytes(data[:4] + bytes(len(data) - 4 - end) + data[-end:])
    with pytest.raises(OSError):
        pq.read_table(path)
    report = summarise(ledger, bundle=bundle)
    assert as_text(report, "results") == as_text(expected, "results")


def test_sums_that_came_along_with_other_rows_are_not_believed(
    tmp_path: Path, bundle: Bundle
) -> None:
    rows = mixed(7)
    expected = summarise(results(str(tmp_path / "rows"), bundle, rows[:9]), bundle=bundle)
    ledger, table = Ledger(str(tmp_path / "sums"), bundle.digest), table_of(bundle, rows)
    address = storage.join(ledger.results_uri, part(0))
    storage.write_bytes(address, as_file(table.slice(0, 9), ResultSums.of(part(0), table)))
    report = summarise(ledger, bundle=bundle)
    assert as_text(report, "results") == as_text(expected, "results")


def test_files_taken_away_are_counted_no_longer(tmp_path: Path, bundle: Bundle) -> None:
    parts, summed = [mixed(1), mixed(2)], Summed()
    ledger = results(str(tmp_path), bundle, *parts, with_sums=range(2))
    for number, rows in enumerate(parts):
        summed.add(part(number), ResultSums.of(part(number), table_of(bundle, rows)))
    storage.delete(storage.join(ledger.results_uri, part(0)))
    assert summarise(ledger, bundle=bundle, summed=summed)["rows"] == len(parts[1])


def test_nothing_read_has_a_report(tmp_path: Path, bundle: Bundle) -> None:
    report = summarise(results(str(tmp_path), bundle), bundle=bundle)
    assert (report["rows"], report["read"], report["run"]["pictures_per_s"]) == (0, 0, None)
    assert "nothing was read" in Outline(page(report, lambda uri, region: None)).text


def test_the_page_shows_everything_as_text(tmp_path: Path, bundle: Bundle) -> None:
    rows = [
        read(1, EVIL, 0.25, uri=f"s3://b/{EVIL}.png", region=REGION),
        read(2, " 1a\u0301 ", 0.5),
        read(3, "", 0.75, chars=None),
        failed(4, EVIL, uri=EVIL, error_message=EVIL),
    ]
    asked: list[tuple[str, list[float] | None]] = []

    def picture(uri: str, region: Any) -> Image.Image | None:
        asked.append((uri, region))
        noise = np.random.default_rng(0).integers(0, 255, (900, 3000, 3), dtype=np.uint8)
        return Image.fromarray(noise) if region else None

    report = summarise(results(str(tmp_path), bundle, rows), bundle=bundle, run=RUN)
    html = page(report, picture)
    outline = Outline(html)
    assert outline.tags["script"] == 0
    assert outline.text.count(EVIL) >= 3
    for shown in ("[10, 20 – 110, 50]", "25.0% sure", "nothing", "2026-01-02 03:04:25 UTC", "␣"):
        assert shown in outline.text
    assert asked == [(row["uri"], row.get("region")) for row in rows[:3]]
    sources = [value for _, name, value in outline.attributes if name in ("src", "href")]
    (jpeg,) = (
        base64.b64decode(source.removeprefix("data:image/jpeg;base64,")) for source in sources
    )
    assert Image.open(io.BytesIO(jpeg)).width <= 480
    assert len(jpeg) <= 20_000
    assert outline.text.count("no picture to show") == 2
    tints = [v for t, name, v in outline.attributes if t == "span" and name == "style"]
    assert tints[:2] == ["--tint:0.38", "--tint:0.33"]


def test_the_page_lies_there_before_the_report(
    tmp_path: Path, bundle: Bundle, new_bucket: Callable[[], str]
) -> None:
    out = storage.join(new_bucket(), "bulk results")
    report = summarise(results(out, bundle, [read(1, "7", 0.9)]), bundle=bundle)

    def picture(uri: str, region: Any) -> None:
        assert not storage.exists(storage.join(out, REPORT_FILE))

    address = write_summary(report, out, picture)
    assert address == storage.join(out, HTML_FILE)
    assert storage.read_bytes(address).startswith(b"<!doctype html>")
    assert json.loads(storage.read_bytes(storage.join(out, REPORT_FILE))) == report


def test_a_page_that_can_not_be_made_leaves_the_results_unfinished(
    tmp_path: Path, bundle: Bundle
) -> None:
    report = summarise(results(str(tmp_path), bundle, [read(1, "7", 0.9)]), bundle=bundle)

    def picture(uri: str, region: Any) -> Image.Image | None:
        raise MemoryError

    with pytest.raises(MemoryError):
        write_summary(report, str(tmp_path), picture)
    assert not (tmp_path / REPORT_FILE).exists()
