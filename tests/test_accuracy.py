"""``bench/accuracy.py`` and ``recipes/release.py`` on a small labelled folder."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.accuracy import (
    Kept,
    accuracy_table,
    by_letters_and_digits,
    cross_fitted,
    to_the_letter,
)
from bench.sides.labelled import LabelledSet, half_of, labelled_set
from bench.sides.readings import Outcome, Reading, counted, read_with
from crnn import Recognizer, load_bundle
from crnn.bundle.shipped import SHIPPED_FOLDER
from crnn.text.metrics import score
from pipelines.holdout import is_held_out
from tests.jobs.runs import PROJECT, environment
from tests.pipelines.evaluation_cases import rendered

BUNDLE = str(SHIPPED_FOLDER / "strings")
LABELS = {"2024": "2024", "a-7": "A-7", "wrong": "17", "--": "--"}
"""What the list says → what the picture shows."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "words"
    pictures.mkdir()
    for number, shown in enumerate(LABELS.values()):
        (pictures / f"{number}.png").write_bytes(rendered(shown))
    lines = "".join(f"{number}.png\t{label}\n" for number, label in enumerate(LABELS))
    (pictures / "labels.tsv").write_text(lines)
    return pictures


def test_letters_and_digits_count_in_any_case(folder: Path) -> None:
    one = labelled_set(str(folder), lines=False)
    assert one.labels == ("2024", "a-7", "wrong"), "a label of dashes alone can't be counted"
    read = read_with(BUNDLE, [one], "torch")
    assert [reading.right for reading in read.readings] == [True, True, False]
    assert read.outcomes["words"].sums.alnum_exact == 2
    assert read.outcomes["words"].sums.count == 3
    result = Recognizer.load(BUNDLE, engine="torch").read(folder / "0.png")
    confidence = read.calibration.apply(read.readings[0].log_probability)
    assert confidence == pytest.approx(result.confidence, rel=1e-3)


def test_a_draw_is_the_same_each_time(folder: Path) -> None:
    whole, one, again = (labelled_set(str(folder), lines=False, limit=n) for n in (0, 2, 2))
    assert len(one.labels) == 2
    assert one == again
    assert one.key != whole.key


def test_the_halves_of_a_set_are_the_whole(tmp_path: Path) -> None:
    folder, picture = tmp_path / "words", rendered("7")
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes(picture)
    (folder / "labels.tsv").write_text("".join(f"{number}.png\t7\n" for number in range(12)))
    whole, a, b = (labelled_set(str(folder), lines=False, half=half) for half in ("", "a", "b"))
    assert sorted(a.ids + b.ids) == sorted(whole.ids)
    assert all(half_of("words", name) == "a" for name in a.ids)
    assert all(half_of("words", name) == "b" for name in b.ids)
    assert a.ids and b.ids and a.total == 12


def test_tables_tell_letters_and_digits_from_every_character(folder: Path) -> None:
    one = labelled_set(str(folder), lines=False)
    tools = {"ours": {"words": counted(["2024", "A-7", "x"], ["2024", "a-7", "wrong"], 0.5)}}
    loose, strict = (
        accuracy_table([one], tools, share)[-1].split(" | ")
        for share in (by_letters_and_digits, to_the_letter)
    )
    assert (loose[1][:4], strict[1][:4]) == ("66.7", "33.3")
    assert loose[2] == strict[2] == "6 |"


def test_a_peer_is_measured_once_for_each_version_and_set(folder: Path) -> None:
    one = labelled_set(str(folder), lines=False)
    measured: list[str] = []

    def measure(given: LabelledSet) -> Outcome:
        measured.append(given.name)
        return Outcome(sums=score("2024", "2024"), cpu_s=0.5)

    file = folder.parent / "kept.json"
    for version in ("Peer 1", "Peer 1", "Peer 2"):
        found = Kept(file).outcome(version, one, measure, True)
        assert (found.sums, found.cpu_s) == (score("2024", "2024"), 0.5)
    assert measured == ["words"] * 2
    lines = labelled_set(str(folder), lines=True)
    fresh = [Kept(file).outcome("Peer 1", lines, measure, False) for _ in range(2)]
    assert len(measured) == 4
    kept = Kept(file).outcome("Peer 1", lines, measure, True)
    day = json.loads(file.read_text())["Peer 1"][lines.key]["measured"]
    assert len(measured) == 4 and fresh[1].rate == "2"
    assert kept.rate == (kept + fresh[0]).rate == f"2 on {day}", "a rate of another run says so"
    assert sorted(json.loads(file.read_text())) == ["Peer 1", "Peer 2"]


def test_no_reading_is_calibrated_by_itself() -> None:
    """Where one half is mostly right and the other mostly wrong, each gets the other's share."""
    ids = [str(number) for number in range(400)]
    first = {name: is_held_out(f"s/{name}", 0.5) for name in ids}
    readings = [
        Reading(
            set="s",
            id=name,
            label="a",
            text="a" if int(name) % 10 < (9 if first[name] else 1) else "b",
            log_probability=math.log(0.5),
        )
        for name in ids
    ]
    for name, confidence in zip(ids, cross_fitted(readings), strict=True):
        assert confidence == pytest.approx(0.1 if first[name] else 0.9, abs=0.06)


@pytest.mark.slow
def test_a_release_states_what_was_measured(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text("commands: [python jobs/train.py]\nseed: 7\n")
    out = tmp_path / "bundles" / "mobile"
    command = [sys.executable, str(PROJECT / "recipes/release.py"), BUNDLE, str(out)]
    command += ["--words", str(folder), "--calibrate", "--facts", str(tmp_path / "facts.yaml")]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    bundle = load_bundle(out)
    assert bundle.name == "mobile"
    assert bundle.digest == load_bundle(BUNDLE).digest, "it was in float16 before"
    assert bundle.metrics["words"]["alnum_accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert bundle.training == {"commands": ["python jobs/train.py"], "seed": 7}
    assert sum(b.count for b in bundle.reliability) == 3
    assert "| words.alnum_accuracy | 0.6667 |" in (out / "MODEL_CARD.md").read_text()
