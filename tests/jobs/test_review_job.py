"""From a bulk job's results to shards with the corrected texts, every step as a user takes it."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs import prepare, recognize
from jobs import review as review_job
from pipelines.shards import load_manifest, read_row_group
from tests.browser import MAY_STALL, launched, tab, unused
from tests.jobs.runs import PROJECT, refused, run, within, without_control_characters
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.test_review import results as hand_made
from tests.pipelines.test_review import row

REVIEW = PROJECT / "jobs" / "review.py"
BOX = (12, 6, 60, 30)


def inputs(folder: Path) -> Path:
    """Five crops, one of them no picture, and a region of a page, in a list; its address."""
    (folder / "crops").mkdir()
    lines = ["uri,x0,y0,x1,y1\n"]
    for number in range(4):
        path = folder / "crops" / f"Beleg é {number}.png"
        path.write_bytes(rendered(str(100 + number)))
        lines.append(f"{path},,,,\n")
    (folder / "crops" / "broken.png").write_bytes(b"<html>")
    lines.append(f"{folder / 'crops' / 'broken.png'},,,,\n")
    page = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 90), np.uint8))
    page.save(folder / "page.png")
    lines.append(f"{folder / 'page.png'},{','.join(map(str, BOX))}\n")
    (folder / "list.csv").write_text("".join(lines))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """The results of a real job."""
    folder = tmp_path_factory.mktemp("job")
    random_bundle(folder / "bundle")
    command = ("--bundle", "bundle", "--input", str(inputs(folder)), "--output", "results")
    done = within(recognize.main, *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "results"


def review(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return within(review_job.main, *arguments, cwd=cwd)


def shards(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Text and picture of every sample, by its id."""
    rows = [
        row
        for shard in load_manifest(str(folder)).shards
        for group in range(len(shard.row_groups))
        for row in read_row_group(str(folder), shard.name, group).to_pylist()
    ]
    return {row["id"]: (row["text"], row["image"]) for row in rows}


@pytest.mark.slow
@MAY_STALL
def test_from_results_to_shards_with_the_corrected_texts(results: Path, tmp_path: Path) -> None:
    command = (str(results), "my review", "--below", "1.1", "--errors")
    done = run(*command, cwd=tmp_path, job=REVIEW)
    assert done.returncode == 0, done.stderr
    assert "fetching: 6 of 6 pictures (100%)" in done.stdout
    assert "5 pictures to review, 1 can't be shown" in done.stdout
    assert without_control_characters(done.stdout)
    out = tmp_path / "my review"
    taken = json.loads((out / "review.json").read_text())["pictures"]
    with launched() as browser, unused(browser) as context:
        with tab(context, out / "review.html") as page:
            fields = page.locator(".item input")
            fields.first.focus()
            for number in range(4):
                fields.nth(number).fill(f"gelesen {number}")
                page.keyboard.press("Enter")
            page.keyboard.press("Shift+Enter")
        with tab(context, out / "review.html") as page:
            with page.expect_download() as download:
                page.get_by_role("button", name="Save labels.tsv").click()
            download.value.save_as(out / download.value.suggested_filename)
    prepared = within(prepare.main, "my review", "shards", cwd=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    assert "4 samples" in prepared.stdout
    assert "rejects: none" in prepared.stdout
    found = shards(tmp_path / "shards")
    assert {name: text for name, (text, _) in found.items()} == {
        picture["image"]: f"gelesen {number}" for number, picture in enumerate(taken[:4])
    }
    for picture in taken[:4]:
        assert_same_picture(found[picture["image"]][1], picture)
    assert all(rows == 1 for rows in rows_by_picture(results).values())


def assert_same_picture(data: bytes, picture: dict[str, object]) -> None:
    """The file as it was, or the pixels of the region."""
    source = Path(str(picture["uri"]))
    if picture["region"] is None:
        assert data == source.read_bytes()
        return
    with Image.open(source) as page:
        assert (np.asarray(Image.open(io.BytesIO(data))) == np.asarray(page.crop(BOX))).all()


def rows_by_picture(folder: Path) -> dict[str, int]:
    """How many rows each address has."""
    uris: list[str] = [
        uri
        for part in folder.glob("model=*/*.parquet")
        for uri in pq.read_table(part, columns=["uri"])["uri"].to_pylist()
    ]
    return {uri: uris.count(uri) for uri in uris}


@MAY_STALL
def test_the_report_of_a_job_has_its_page(results: Path) -> None:
    report = json.loads((results / "_report.json").read_text())
    assert (report["rows"], report["read"]) == (6, 5)
    assert report["run"]["pictures"] == 6
    assert report["run"]["pictures_per_s"] > 0
    assert report["run"]["started"] <= report["run"]["finished"]  # to the second
    page_path = results / "_report.html"
    with launched() as browser, unused(browser) as context, tab(context, page_path) as page:
        assert page.locator(".card img").count() == 5
        broken = "images => images.filter(image => !image.naturalWidth).length"
        assert page.locator(".card img").evaluate_all(broken) == 0
        assert "broken.png" in page.locator("details[open]").inner_text()


def test_bad_arguments_and_unfinished_results(tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(rendered("7"))
    hand_made(tmp_path / "rows", [row(str(tmp_path / "7.png"), "7", 0.5)])
    refused(review("nowhere", "out", cwd=tmp_path), 1, "no results", "nowhere")
    for arguments, status, words in (
        ("rows out --below 0", 2, "--below"),
        ("rows out --order magic", 2, "magic"),
        ("rows http://host/out", 2, "scheme"),
        ("rows out --below 0.5", 1, "a higher --below"),
    ):
        refused(within(review_job.main, *arguments.split(), cwd=tmp_path), status, words)
    (tmp_path / "rows" / "_report.json").unlink()
    refused(review("rows", "out", cwd=tmp_path), 1, "unfinished", "--unfinished")
    assert not (tmp_path / "out").exists()
    done = review("rows", "out", "--unfinished", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
