"""Bulk recognition on a real Ray: every input has one row, whatever came before."""

from __future__ import annotations

import io
import os
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn.errors import DataError
from crnn.files import storage
from crnn.inference.recognizer import Recognizer
from pipelines.recognition import BulkConfig, carry_out, plan_work, recognize
from pipelines.recognition.plan import CHUNK_ROWS
from pipelines.stores import s3_client
from tests.pipelines.evaluation_cases import random_bundle, rendered, sample, write_set
from tests.pipelines.recognition.results import (
    assert_once,
    assert_says_what_rows_say,
    rows_of,
)

pytestmark = pytest.mark.usefixtures("local_ray")
COUNT = 600
"""Good pictures: more than a chunk."""
ODD_KEYS = ("a b.png", "ü/ñ+1.png", "50%25.png", "x?y=1.png", "tab\tname.png")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def crops(drawn: Path, tmp_path: Path) -> Path:
    """A copy of them that a test may change."""
    return Path(shutil.copytree(drawn, tmp_path / "crops"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``COUNT`` pictures in two folders, two bad ones, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("drawn") / "crops"
    (folder / "b").mkdir(parents=True)
    for number in range(COUNT):
        name = f"{'b/' if number % 3 else ''}{number}.png"
        (folder / name).write_bytes(rendered(str(number)))
    (folder / "page.jpg").write_bytes(b"<html>not a picture</html>")
    (folder / "empty.png").write_bytes(b"")
    (folder / "labels.tsv").write_text("0.png\t0\n")
    return folder


def pictures(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*.*") if path.suffix != ".tsv"}


def test_every_picture_has_one_row_as_the_recognizer_reads_it(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    outcome = recognize(bundle, str(crops), out, BulkConfig())
    rows = rows_of(out)
    assert_once(rows, pictures(crops))
    paths = sorted(pictures(crops))
    expected = dict(zip(paths, Recognizer.load(bundle).read(paths), strict=True))
    for row in rows:
        result = expected[row["uri"]]
        assert row["model"] == result.model
        assert row["error_code"] == result.error_code
        if result.error_code is None:
            assert row["text"] == result.text
            assert (row["squeezed"], row["turned"]) == (result.squeezed, result.turned)
            assert row["confidence"] == pytest.approx(result.confidence, abs=1e-3)
            assert "".join(char["char"] for char in row["chars"]) == result.text
    assert outcome.read == outcome.report["rows"] == COUNT + 2
    assert outcome.report["read"] == COUNT
    assert sum(outcome.report["errors"].values()) == 2
    assert sum(outcome.report["confidence_histogram"]) == COUNT
    assert_says_what_rows_say(outcome.report, bundle, BulkConfig(), tmp_path / "counted")


def test_run_again_reads_what_is_new_or_has_changed(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    recognize(bundle, str(crops), out, BulkConfig())
    before = {row["uri"]: row for row in rows_of(out)}
    assert recognize(bundle, str(crops), out, BulkConfig()).read == 0
    (crops / "new.png").write_bytes(rendered("77"))
    (crops / "0.png").write_bytes(rendered("31415"))
    (crops / "empty.png").write_bytes(rendered("2718"))
    os.utime(crops / "0.png", ns=(1, 1))
    assert recognize(bundle, str(crops), out, BulkConfig()).read == 3
    rows = {row["uri"]: row for row in rows_of(out)}
    assert_once(rows_of(out), pictures(crops))
    changed = {uri for uri in rows if rows[uri] != before.get(uri)}
    assert changed == {str(crops / name) for name in ("new.png", "0.png", "empty.png")}
    (crops / "0.png").write_bytes(rendered("0"))
    os.utime(crops / "0.png", ns=(2, 2))
    outcome = recognize(bundle, str(crops), out, BulkConfig())
    assert outcome.read == 1
    assert_once(rows_of(out), pictures(crops))
    assert_says_what_rows_say(outcome.report, bundle, BulkConfig(), tmp_path / "counted")


def test_failed_ones_are_read_again_when_asked_for(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    recognize(bundle, str(crops), out, BulkConfig())
    again = BulkConfig(retry_failed=True)
    outcome = recognize(bundle, str(crops), out, again)
    assert outcome.read == 2
    assert_once(rows_of(out), pictures(crops))
    assert_says_what_rows_say(outcome.report, bundle, again, tmp_path / "counted")
    assert recognize(bundle, str(crops), out, BulkConfig()).read == 0


def test_an_unfinished_job_goes_on_where_it_stopped(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    recognize(bundle, str(crops), out, BulkConfig())
    parts = sorted((tmp_path / "out").rglob("part-*.parquet"))
    assert len(parts) == 2
    parts[0].unlink()
    (tmp_path / "out/_report.json").unlink()
    kept = parts[1].stat().st_mtime_ns
    outcome = recognize(bundle, str(crops), out, BulkConfig())
    assert outcome.read == CHUNK_ROWS
    assert parts[1].stat().st_mtime_ns == kept
    assert_once(rows_of(out), pictures(crops))
    assert_says_what_rows_say(outcome.report, bundle, BulkConfig(), tmp_path / "counted")


def test_a_plan_cut_short_is_made_anew(bundle: str, crops: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    plan_work(bundle, str(crops), out, BulkConfig())
    for plan in (tmp_path / "out").rglob("plan-*.parquet"):
        plan.unlink()
    recognize(bundle, str(crops), out, BulkConfig())
    assert_once(rows_of(out), pictures(crops))


def test_other_options_for_the_same_rows_are_refused(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    plan_work(bundle, str(crops), out, BulkConfig())
    with pytest.raises(DataError, match="decoder: None → 'beam'"):
        plan_work(bundle, str(crops), out, BulkConfig(decoder="beam"))


def test_lists_and_patterns(bundle: str, crops: Path, tmp_path: Path) -> None:
    uris = [str(crops / "0.png"), str(crops / "3.png"), str(crops / "missing.png")]
    pq.write_table(pa.table({"uri": uris}), tmp_path / "list.parquet")
    (tmp_path / "list.csv").write_text("uri,who\n" + "".join(f"{uri},me\n" for uri in uris))
    for number, name in enumerate(("list.parquet", "list.csv")):
        out = str(tmp_path / f"out{number}")
        recognize(bundle, str(tmp_path / name), out, BulkConfig(ignore_columns=("who",)))
        rows = rows_of(out)
        assert_once(rows, set(uris))
        assert {row["uri"] for row in rows if row["error_code"] == "not_found"} == {uris[2]}
    out = str(tmp_path / "out-pattern")
    recognize(bundle, str(crops / "*9.png"), out, BulkConfig())
    assert_once(rows_of(out), {uri for uri in pictures(crops) if uri.endswith("9.png")})


def test_regions_and_prepared_sets_are_inputs_too(bundle: str, tmp_path: Path) -> None:
    words = [Image.open(io.BytesIO(rendered(str(n)))) for n in (12, 345, 6789)]
    page = Image.new("L", (200, 100), 255)
    boxes = []
    for n, word in enumerate(words):
        page.paste(word, (10 + n, 30 * n))
        boxes.append([10 + n, 30 * n, 10 + n + word.width, 30 * n + word.height])
    page.save(tmp_path / "page.png")
    uris = [str(tmp_path / "page.png")] * 5
    boxes += [None, [500, 500, 510, 510]]
    pq.write_table(pa.table({"uri": uris, "box": boxes}), tmp_path / "list.parquet")
    rows = [sample(f"s{n}", str(n), rendered(str(n))) for n in (12, 345, 6789)]
    write_set(tmp_path / "set", rows)
    found = {}
    for kind in ("list.parquet", "set"):
        recognize(bundle, str(tmp_path / kind), str(tmp_path / "out" / kind), BulkConfig())
        found[kind] = rows_of(str(tmp_path / "out" / kind))
    alone = [result.text for result in Recognizer.load(bundle).read(words)]
    assert [row["text"] for row in found["set"]] == alone
    assert [row["text"] for row in found["list.parquet"]][:3] == alone
    assert [row["error_code"] for row in found["list.parquet"]] == [None] * 4 + ["bad_region"]
    assert [row["region"] is None for row in found["list.parquet"]] == [False] * 3 + [True, False]
    again = recognize(
        bundle, str(tmp_path / "list.parquet"), str(tmp_path / "out/list.parquet"), BulkConfig()
    )
    assert again.read == 0


def test_readings_too_unsure_are_errors_with_their_text(
    bundle: str, crops: Path, tmp_path: Path
) -> None:
    all_rows, out = str(tmp_path / "all"), str(tmp_path / "out")
    recognize(bundle, str(crops), all_rows, BulkConfig())
    before = {row["uri"]: row for row in rows_of(all_rows)}
    least = statistics.median(row["confidence"] for row in before.values() if row["text"])
    unsure = {uri for uri, row in before.items() if row["text"] and row["confidence"] < least}
    assert 0.4 * COUNT < len(unsure) < 0.6 * COUNT
    config = BulkConfig(min_confidence=least)
    outcome = recognize(bundle, str(crops), out, config)
    for row in rows_of(out):
        assert (row["error_code"] == "low_confidence") == (row["uri"] in unsure)
        assert (row["text"], row["confidence"]) == tuple(
            before[row["uri"]][name] for name in ("text", "confidence")
        )
    assert outcome.report["errors"]["low_confidence"] == len(unsure)
    again = recognize(bundle, str(crops), out, replace(config, retry_failed=True))
    assert again.read == 2, "what was read with little confidence is no failure to try again"


def test_nothing_to_read_is_an_error(bundle: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is nothing at"):
        plan_work(bundle, str(tmp_path / "nowhere"), str(tmp_path / "out"), BulkConfig())


@pytest.mark.slow
def test_a_bucket_past_one_page_with_odd_keys(
    bundle: str, new_bucket: Callable[[], str], tmp_path: Path
) -> None:
    bucket, picture = new_bucket(), rendered("1")
    names = [f"many/{number:05d}.png" for number in range(1100)] + [f"many/{k}" for k in ODD_KEYS]
    client = s3_client("")
    for name in names:
        client.put_object(Bucket=bucket.removeprefix("s3://"), Key=name, Body=picture)
    work = plan_work(bundle, f"{bucket}/many", f"{bucket}/out", BulkConfig())
    storage.delete(f"{bucket}/{names[7]}")
    outcome = carry_out(work)
    rows = rows_of(f"{bucket}/out")
    assert_once(rows, {f"{bucket}/{name}" for name in names})
    assert {row["uri"]: row["error_code"] for row in rows if row["error_code"]} == {
        f"{bucket}/{names[7]}": "not_found"
    }
    assert outcome.report["errors"] == {"not_found": 1}
    assert recognize(bundle, f"{bucket}/many", f"{bucket}/out", BulkConfig()).read == 0
