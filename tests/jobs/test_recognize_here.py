"""``jobs/recognize.py`` with pictures: read in its own process, without Ray."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from crnn import Cascade, Recognizer
from jobs import read, read_here, recognize
from jobs.recognize import RecognizeSettings
from pipelines.recognition.config import ReadOptions
from tests.jobs.runs import PROJECT, refused, run, within
from tests.pipelines.evaluation_cases import random_bundle, rendered, unlike_bundle
from tests.unprivileged import as_nobody, open_folder

JOB = PROJECT / "jobs" / "recognize.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures and one that is none, in ``crops``."""
    (tmp_path / "crops").mkdir()
    for text in ("2024", "17", "389"):
        (tmp_path / "crops" / f"{text}.png").write_bytes(rendered(text))
    (tmp_path / "crops" / "bad.png").write_bytes(b"no picture")
    return tmp_path


NO_CLUSTER = {"RAY_ADDRESS": "127.0.0.1:1"}
"""One that can't be joined, so that it would be noticed."""


def here(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return within(recognize.main, *arguments, cwd=cwd, extra=NO_CLUSTER)


def test_a_picture_is_read_with_the_shipped_bundle(folder: Path) -> None:
    done = run("crops/2024.png", cwd=folder, job=JOB, extra=NO_CLUSTER)
    assert done.returncode == 0, done.stderr
    text, confidence, name = done.stdout.removesuffix("\n").split("\t")
    assert (text, name) == ("2024", "crops/2024.png")
    read = Recognizer.load().read(folder / "crops/2024.png")
    assert confidence == f"{read.confidence:.3f}"
    assert sorted(p.name for p in folder.iterdir()) == ["crops"], "nothing is left behind"


@pytest.mark.parametrize("names", [("crops/*.png", "nowhere.png"), ("nowhere.png", "crops")])
def test_many_are_read_and_bad_ones_told_on_stderr(folder: Path, names: tuple[str, ...]) -> None:
    done = here(*names, cwd=folder)
    assert done.returncode == 1
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert {text: Path(name).name for text, _, name in lines} == {
        "2024": "2024.png",
        "17": "17.png",
        "389": "389.png",
    }
    bad, missing = sorted(done.stderr.splitlines())
    assert "crops/bad.png: undecodable: " in bad
    assert missing.startswith("nowhere.png: not_found: ")


def test_json_has_what_a_program_needs(folder: Path) -> None:
    uri = random_bundle(folder / "bundle")
    names = [f"crops/{name}.png" for name in ("17", "bad", "389")]
    done = here("--bundle", "bundle", "--json", *names, cwd=folder)
    assert done.returncode == 1
    first, bad, last = map(json.loads, done.stdout.splitlines())
    recognizer = Recognizer.load(uri)
    for entry, name in ((first, names[0]), (last, names[2])):
        result = recognizer.read(folder / name)
        assert entry["id"] == name
        assert entry["text"] == result.text
        assert entry["confidence"] == pytest.approx(result.confidence, rel=1e-3)
        assert (entry["squeezed"], entry["turned"]) == (result.squeezed, result.turned)
        assert entry["model"] == recognizer.bundle.digest
        assert [char["char"] for char in entry["chars"]] == list(result.text)
        assert [char["x1"] for char in entry["chars"]] == [char.x1 for char in result.chars]
    assert bad["id"] == names[1]
    assert bad["error"]["code"] == "undecodable"


def test_a_second_bundle_reads_what_the_first_one_doubts(folder: Path) -> None:
    first, second = random_bundle(folder / "first"), unlike_bundle(folder / "second")
    names = [f"crops/{name}.png" for name in ("17", "389", "2024")]
    sure = max(result.confidence for result in Recognizer.load(first).read(_paths(folder, names)))
    flags = ("--bundle", "first", "--then", "second", "--below", str(sure), "--json")
    done = here(*flags, *names, cwd=folder)
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    cascade = Cascade.load(first, then=second, below=sure)
    results = cascade.read(_paths(folder, names))
    assert [(e["text"], e["model"]) for e in entries] == [(r.text, r.model) for r in results]
    assert [result.model for result in results].count(cascade.second.bundle.digest) == 2

    done = here(*flags, "--digest", cascade.digest, *names, cwd=folder)
    assert done.returncode == 0, done.stderr
    only_first = cascade.first.bundle.digest
    refused(here(*flags, "--digest", only_first, *names, cwd=folder), 1, cascade.digest, "then")
    refused(
        here("--below", "0.5", *names, cwd=folder),
        2,
        "there is no second bundle",
    )
    read_job = within(read.main, "--below", "0.5", *names, cwd=folder, extra=NO_CLUSTER)
    refused(read_job, 2, "there is no second bundle")


def _paths(folder: Path, names: list[str]) -> list[Path]:
    return [folder / name for name in names]


def test_a_lexicon_and_no_chars(folder: Path) -> None:
    (folder / "words.txt").write_text("2025\n99\n")
    flags = ("--json", "--no-chars", "--lexicon", "words.txt")
    done = here(*flags, "crops/2024.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    entry = json.loads(done.stdout)
    assert entry["text"] == "2025"
    assert "chars" not in entry


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("crops/*.jpg",), ("there is no picture at crops/*.jpg",)),
        (("crops/17.png", "--digest", "12"), ("has the digest", "expected 12")),
    ],
)
def test_what_cannot_be_read_is_one_message(
    folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(within(recognize.main, *arguments, cwd=folder), 1, *words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "expected pictures to read here, or --input and --output"),
        ({"input": "crops"}, "--input is 'crops', --output ''"),
        ({"pictures": ("a.png",), "output": "out"}, "--output can't be used with pictures"),
        ({"pictures": ("a.png",), "workers": 2}, "--workers can't be used with pictures"),
        ({"json": True, "input": "a", "output": "b"}, "--json goes with pictures"),
        ({"pictures": ("a.png",), "min_confidence": 2}, "expected 0 to 1"),
    ],
)
def test_what_does_not_go_together(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RecognizeSettings(**settings)


def test_a_wrong_command_line_has_the_status_of_one(folder: Path) -> None:
    refused(
        here("crops/17.png", "--output", "out", cwd=folder),
        2,
        "--output can't be used with pictures",
    )
    assert not (folder / "out").exists()


def test_what_may_not_be_looked_at_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path / "bundle")
    with open_folder() as root:
        for name in ("secret/1.png", "2.png", "closed.png"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(rendered("12"))
        (root / "loop").symlink_to("loop")
        (root / "closed.png").chmod(0)
        (root / "secret").chmod(0)
        names = ("secret/1.png", "secret", "loop", "closed.png", "2.png")
        recognizer = Recognizer.load(bundle)
        recognizer.read([rendered("1")])  # all is imported before nobody may
        with as_nobody():
            found = list(read_here.pictures([f"{root}/{name}" for name in names], ReadOptions()))
            results = recognizer.read(found)
    assert found == [f"{root}/{name}" for name in names]
    assert [result.error_code for result in results] == ["unreadable"] * 4 + [None]
