"""A bulk job of two bundles: rows, identity, resuming; as a program reads with the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crnn import Cascade, Recognizer, load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.errors import BundleError, DataError
from pipelines.recognition import BulkConfig, BulkWork, page_lines, plan_work, recognize
from pipelines.recognition import second as second_module
from pipelines.recognition.reader import ChunkReader
from pipelines.recognition.rows import PAGE_SCHEMA, RESULT_SCHEMA
from tests.crnn.networks import noise
from tests.crnn.pages.drawn import encrypted_pdf, in_file, turned, two_columns
from tests.crnn.poison import encoded
from tests.pipelines.evaluation_cases import random_bundle, rendered, unlike_bundle
from tests.pipelines.recognition.results import (
    assert_once,
    assert_says_what_rows_say,
    rows_of,
)

COUNT = 60


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, float]:
    """Two bundles that share nothing, and a bound in the middle of the first one's confidences."""
    folder = tmp_path_factory.mktemp("pair")
    first = random_bundle(folder / "first")
    second = unlike_bundle(folder / "second")
    results = Recognizer.load(first).read([rendered(str(n)) for n in range(COUNT)])
    below = float(np.median([result.confidence for result in results]))
    return first, second, below


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain and other pictures, bad ones, and a list of regions of one page."""
    folder = tmp_path_factory.mktemp("crops") / "crops"
    folder.mkdir()
    for number in range(COUNT):
        data = rendered(str(number))
        if number % 5 == 0:
            (folder / f"{number}.png").write_bytes(data)
            with Image.open(folder / f"{number}.png") as image:
                image.convert("P").save(folder / f"{number}.png")
        else:
            (folder / f"{number}.png").write_bytes(data)
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html>")
    return folder


def planned(pair: tuple[str, str, float], source: Path, out: Path, **changes: object) -> BulkWork:
    first, second, below = pair
    config = replace(BulkConfig(then=second, below=below), **changes)  # type: ignore[arg-type]
    work = plan_work(first, str(source), str(out), config)
    while not work.agenda.complete:
        work.agenda.wait()
    return work


def read(work: BulkWork) -> pa.Table:
    """All rows, read in this process."""
    outcomes = list(ChunkReader(work.read)(work.agenda.take()))
    results = Path(work.ledger.results_uri)
    return pa.concat_tables(pq.read_table(results / outcome.part) for outcome in outcomes)


def check(rows: pa.Table, cascade: Cascade, pictures: Callable[[str], object]) -> None:
    """Each row is what the cascade reads of the picture alone."""
    assert rows.schema == RESULT_SCHEMA
    for row in rows.to_pylist():
        result = cascade.read([pictures(row["uri"])])[0]  # type: ignore[list-item]
        assert (row["model"], row["error_code"]) == (result.model, result.error_code)
        assert row["text"] == (None if result.error_code else result.text)
        if result.error_code is None:
            assert row["confidence"] == pytest.approx(result.confidence, abs=1e-4)
            spans = [char.x1 for char in result.chars]
            assert [char["x1"] for char in row["chars"]] == pytest.approx(spans, abs=1e-2)


def test_rows_are_what_a_program_reads_with_the_two(
    pair: tuple[str, str, float], crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, below = pair
    cascade = Cascade.load(first, then=second, below=below)
    rows = read(planned(pair, crops, tmp_path / "out"))
    assert_once(rows.to_pylist(), {str(path) for path in crops.iterdir()})
    check(rows, cascade, lambda uri: uri)
    surer = Cascade.load(first, then=second, below=1.0, surer=True)
    if_surer = read(planned(pair, crops, tmp_path / "surer", below=1.0, surer=True))
    check(if_surer, surer, lambda uri: uri)
    by = rows.filter(pa.compute.is_null(rows["error_code"]))["model"].to_pylist()
    digests = load_bundle(first).digest, load_bundle(second).digest
    assert set(by) == set(digests) and 10 < by.count(digests[1]) < 50
    monkeypatch.setattr(second_module, "HELD_BYTES", 0)  # everything doubtful is fetched again
    again = read(planned(pair, crops, tmp_path / "again"))
    assert again.drop(["confidence", "chars"]) == rows.drop(["confidence", "chars"])


def test_chunks_wait_for_one_another_and_all_are_written(
    pair: tuple[str, str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crops").mkdir()
    for number in range(COUNT):
        (tmp_path / f"crops/{number:04}.png").write_bytes(rendered(str(number)))
    for number in range(COUNT, 1540):
        name = tmp_path / f"crops/{number:04}.png"
        name.hardlink_to(tmp_path / f"crops/{number % COUNT:04}.png")
    alone = read(planned(pair, tmp_path / "crops", tmp_path / "alone"))
    assert_once(alone.to_pylist(), {str(path) for path in (tmp_path / "crops").iterdir()})
    monkeypatch.setattr(second_module, "WAITING_PICTURES", 1)
    written = read(planned(pair, tmp_path / "crops", tmp_path / "one by one"))
    assert written.drop(["confidence", "chars"]) == alone.drop(["confidence", "chars"])
    texts = dict(zip(alone["uri"].to_pylist(), alone["text"].to_pylist(), strict=True))
    folder = tmp_path / "crops"
    assert all(
        texts[str(folder / f"{n:04}.png")] == texts[str(folder / f"{n % COUNT:04}.png")]
        for n in range(1540)
    )


def test_regions_of_one_page_are_cut_out_for_both(
    pair: tuple[str, str, float], tmp_path: Path
) -> None:
    page = np.concatenate([noise(seed, 60) for seed in range(12)])
    (tmp_path / "page.png").write_bytes(encoded(Image.fromarray(page)))
    lines = [f"page.png,0,{32 * n},60,{32 * n + 32}" for n in range(12)]
    (tmp_path / "list.csv").write_text("\n".join(["uri,x0,y0,x1,y1", *lines]) + "\n")
    first, second, _ = pair
    bound = float(
        np.median([r.confidence for r in Recognizer.load(first).read(list(_strips(page)))])
    )
    work = planned((first, second, bound), tmp_path / "list.csv", tmp_path / "out")
    rows = read(work).to_pylist()
    cascade = Cascade.load(first, then=second, below=bound)
    expected = {32 * n: cascade.read(strip) for n, strip in enumerate(_strips(page))}
    assert len(rows) == 12 and len({row["model"] for row in rows}) == 2
    for row in rows:
        result = expected[row["region"][1]]
        assert (row["text"], row["model"]) == (result.text, result.model)


def _strips(page: np.ndarray) -> list[np.ndarray]:
    return [page[32 * n : 32 * n + 32] for n in range(12)]


@pytest.mark.usefixtures("local_ray")
def test_both_bundles_and_the_bound_are_the_identity_and_the_report_counts_both(
    pair: tuple[str, str, float], crops: Path, tmp_path: Path
) -> None:
    first, second, below = pair
    out = str(tmp_path / "out")
    config = BulkConfig(then=second, below=below)
    outcome = recognize(first, str(crops), out, config)
    assert outcome.read == COUNT + 2
    by = {one["digest"]: one["read"] for one in outcome.report["read_by"]}
    assert list(by) == [load_bundle(first).digest, load_bundle(second).digest]
    assert sum(by.values()) == COUNT and all(by.values())
    assert_says_what_rows_say(outcome.report, first, config, tmp_path / "counted")
    assert outcome.report["model"]["name"] == f"random <b>digits</b>, then unlike below {below:g}"
    folder = f"model={outcome.report['model']['digest'][:16]}"
    assert outcome.results_uri.endswith(folder)
    assert f"read by unlike, {load_bundle(second).digest[:12]}" in Path(outcome.page).read_text()

    assert recognize(first, str(crops), out, config).read == 0
    assert recognize(first, str(crops), out, replace(config, retry_failed=True)).read == 2
    assert_once(rows_of(out), {str(path) for path in crops.iterdir()})
    with pytest.raises(DataError, match="chars: True → False"):
        recognize(first, str(crops), out, replace(config, chars=False))
    assert recognize(first, str(crops), out, replace(config, below=1.0)).read == COUNT + 2
    assert recognize(first, str(crops), out, BulkConfig()).read == COUNT + 2


def test_a_bound_alone_or_the_same_bundle_twice_is_refused(
    pair: tuple[str, str, float], crops: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"--below is 0\.5, but there is no second bundle"):
        BulkConfig(below=0.5)
    with pytest.raises(ValueError, match=r"--below is 1\.5; expected"):
        BulkConfig(then="b", below=1.5)
    with pytest.raises(BundleError, match="both bundles of the cascade"):
        planned((pair[0], pair[0], 0.9), crops, tmp_path / "out")
    with pytest.raises(BundleError, match="nowhere: no such bundle"):
        planned((pair[0], str(tmp_path / "nowhere"), 0.9), crops, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_lines_of_pages_are_what_the_cascade_reads_of_each_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_lines, "HELD_BYTES", 50_000)  # some lines at a time
    first, second, folder = default_bundle(), unlike_bundle(tmp_path / "second"), tmp_path / "in"
    folder.mkdir()
    two_columns().save(folder / "page.png")
    (folder / "book.pdf").write_bytes(in_file([two_columns(), turned(two_columns(), 2)], "PDF"))
    (folder / "locked.pdf").write_bytes(encrypted_pdf())
    lines = Recognizer.load(first).read_page(folder / "page.png")
    below = float(np.median([line.result.confidence for line in lines]))
    work = planned((first, second, below), folder, tmp_path / "out", pages=True, dpi=72)
    rows = read(work)
    assert rows.schema == PAGE_SCHEMA
    cascade = Cascade.load(first, then=second, below=below)
    assert Path(work.ledger.results_uri).name == f"model={cascade.digest[:16]}"
    found = {(Path(r["uri"]).name, r["page"], r["line"]): r for r in rows.to_pylist()}
    assert len(found) == len(rows) == 3 * len(lines) + 1
    assert found["locked.pdf", None, None]["error_code"] == "encrypted"
    for name, page in (("page.png", 1), ("book.pdf", 1), ("book.pdf", 2)):
        for number, line in enumerate(cascade.read_page(folder / name, number=page, dpi=72), 1):
            row = found[name, page, number]
            assert (row["text"], row["model"]) == (line.text, line.result.model)
            assert row["region"] == pytest.approx(line.region)
    digests = {cascade.first.bundle.digest, cascade.second.bundle.digest}
    assert {row["model"] for row in found.values() if row["line"]} == digests
