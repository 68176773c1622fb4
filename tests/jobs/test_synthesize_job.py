"""``jobs/synthesize.py`` as a process: shards, previews, killed and resumed, bad arguments."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crnn.errors import DataError
from jobs import synthesize
from jobs.synthesize import SynthesizeSettings
from pipelines.render.config import check_inputs
from pipelines.shards import load_manifest, read_row_group
from tests.jobs.runs import KillPoints, Run, here_and_as_a_process, refused, within

JOB = Path(__file__).resolve().parents[2] / "jobs" / "synthesize.py"
PACKAGED = ("--no-system-fonts", "--style", "full")
KILLED = (*PACKAGED, "--count", "60", "--part-rows", "6")


@here_and_as_a_process(synthesize.main, JOB, "nightly")
def test_a_set_with_its_preview(job: Run, tmp_path: Path, local_ray: None) -> None:
    words = tmp_path / "words.tsv"
    words.write_text("apple\t3\nbanana\t1\ncherry\n")
    outcome = job(
        *("out", "--count", "40", "--lines", "--words", str(words), "--texts", "all"),
        *("--preview", "sheet.png", "--preview-samples", "8", *PACKAGED),
        cwd=tmp_path,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "8 samples are on sheet.png" in outcome.stdout
    assert "40 of 40 pictures (100%)" in outcome.stdout
    assert f"{tmp_path / 'out'} is complete: 40 samples" in outcome.stdout
    manifest = load_manifest(str(tmp_path / "out"))
    assert manifest.count == 40
    assert manifest.recipe["lines"] is True
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_only_previews_leave_no_set(tmp_path: Path) -> None:
    outcome = within(
        synthesize.main,
        *("--count", "0", "--preview", "a.png", "--preview-augment", "b.png"),
        *("--preview-samples", "6", "--content", "codes", "--no-system-fonts"),
        cwd=tmp_path,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--count", "5"), 2, "OUT is missing"),
        (("out", "--count", "5", "--adjust", "blur", "1"), 2, "blur_em"),
        (("out", "--count", "5", "--words", "nowhere.tsv"), 1, "nowhere.tsv"),
        (("out", "--count", "5", "--fonts", "nowhere"), 1, "nowhere isn't a folder"),
    ],
)
def test_the_job_ends_with_the_status_and_the_reason(
    tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    refused(within(synthesize.main, *arguments, cwd=tmp_path), status, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": -1}, "--count is -1"),
        ({"count": 0}, "--preview"),
        ({"count": 5, "style": "fancy"}, "plain, full"),
        ({"count": 5, "content": "codes", "lines": True}, "english"),
        ({"count": 5, "backgrounds": "nowhere"}, "nowhere isn't a folder"),
        ({"count": 5, "charset": "漢字"}, "digits nor the letters"),
        ({"count": 5, "kinds": {"poem": 1.0}}, "poem"),
    ],
)
def test_settings_that_are_nonsense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, DataError), match=message):
        check_inputs(SynthesizeSettings(out="out", **fields).render_config())


@pytest.mark.fault
@pytest.mark.slow
def test_killed_and_resumed_leaves_the_bytes_of_a_run_that_was_not(
    tmp_path: Path, local_ray: None
) -> None:
    """A worker between its shard and its part file, then the driver before the manifest."""
    points = KillPoints(tmp_path / "points")
    at = ("before part-*.json", "before manifest.json")
    killed = points.run(JOB, "out", *KILLED, at=at, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert points.left() == set()
    min(tmp_path.glob("out/_parts/part-*.json")).unlink()
    for out in ("out", "whole"):
        rerun = within(synthesize.main, out, *KILLED, cwd=tmp_path)
        assert rerun.returncode == 0, rerun.stderr
    folders = [
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path / "out", tmp_path / "whole")
    ]
    assert folders[0] == folders[1]
    manifest = load_manifest(str(tmp_path / "out"))
    ids = [
        name
        for shard in manifest.shards
        for name in read_row_group(str(tmp_path / "out"), shard.name, 0, ["id"])["id"].to_pylist()
    ]
    assert ids == [f"rendered-english-0-{number:08d}" for number in range(60)]
