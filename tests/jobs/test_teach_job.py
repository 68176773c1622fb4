"""A student taught by a teacher on unlabelled pictures, in one command, and again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crnn import load_bundle
from crnn.errors import DataError
from jobs import teach
from jobs.teach import TeachSettings
from jobs.teach_summary import TEACH_FILE
from jobs.training.settings import TrainSettings
from pipelines.prepare.config import PrepareConfig
from pipelines.recognition.config import BulkConfig
from tests.jobs.runs import within
from tests.pipelines.evaluation_cases import (
    digits,
    random_bundle,
    rendered,
    unlike_bundle,
    write_set,
)

COUNT = 120
TINY = ("--train.charset", "digits", "--train.model.rnn-hidden", "32", "--train.epochs", "1",
        "--train.picture.widths", "64", "96", "--train.threads-per-worker", "1")  # fmt: skip


@pytest.mark.slow
def test_a_student_is_taught_and_again_nothing_is_left_to_do(
    tmp_path: Path, local_ray: None
) -> None:
    random_bundle(tmp_path / "teacher")
    (tmp_path / "crops").mkdir()
    for number in range(COUNT):
        (tmp_path / f"crops/{number}.png").write_bytes(rendered(str(number)))
    (tmp_path / "crops/bad.png").write_bytes(b"none")
    write_set(tmp_path / "own", digits(20, seed=1))
    write_set(tmp_path / "by-hand/train", digits(10, seed=2))
    command = ("--teacher", "teacher", "--input", "crops", "--output", "out", "--labelled", "own",
               "--with-labels", "by-hand", "--to-label", "7",
               "--prepare.min-confidence", "0", "--prepare.val-share", "0.2", *TINY)  # fmt: skip
    done = within(teach.main, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    summary = json.loads((out / "teach.json").read_text())
    assert (summary["read"]["rows"], summary["read"]["read"]) == (COUNT + 1, COUNT)
    made = summary["prepared"]
    assert made["learnt"] + made["held_out"] == COUNT and made["held_out"] > 5
    assert made["left_out"] == {"undecodable": 1}
    assert summary["agreement"]["count"] == made["held_out"]
    assert summary["labelled"]["count"] == summary["teacher"]["count"] == 20
    assert set(summary["labelled"]) == {"count", "exact_accuracy", "alnum_accuracy"}
    assert "before" not in summary  # the included bundle has another shape
    assert all(summary["images_per_core_s"][who] > 0 for who in ("student", "teacher"))
    student = load_bundle(summary["student"])
    assert student.onnx is not None and student.onnx.proof.pictures == made["held_out"]
    report = json.loads((out / "agreement/report.json").read_text())
    assert report["bundle"]["digest"] == student.digest
    assert (out / "agreement/report.html").exists()
    again = teach.repeats(made["learnt"], 10)
    assert f"10 labels by hand, each {again} times an epoch" in done.stdout
    review = json.loads((out / "to-label/review.json").read_text())
    assert len(review["pictures"]) == 7 and summary["to_label"] == str(out / "to-label/review.html")

    (out / "teach.json").unlink()
    rerun = within(teach.main, *command, cwd=tmp_path)
    assert rerun.returncode == 0, rerun.stderr
    assert "is complete" in rerun.stdout
    assert load_bundle(summary["student"]).digest == student.digest
    figures = json.loads((out / "teach.json").read_text())
    assert figures["prepared"] == made and figures["read"] == summary["read"]


@pytest.mark.parametrize("flag", ["--labelled", "--also", "--with-labels"])
def test_sets_that_are_missing_are_told_before_any_work(tmp_path: Path, flag: str) -> None:
    teacher, out = random_bundle(tmp_path / "teacher"), tmp_path / "out"
    command = ["--teacher", teacher, "--input", str(tmp_path), "--output", str(out)]
    with pytest.raises(DataError, match="none"):
        teach.main([*command, flag, str(tmp_path / "none")])
    assert not out.exists()


def test_a_file_of_somebody_is_no_summary_and_stays(tmp_path: Path) -> None:
    teacher = random_bundle(tmp_path / "teacher")
    theirs = tmp_path / "out" / TEACH_FILE
    theirs.parent.mkdir()
    for content in ('{"pupils": ["Ada"]}', "no JSON"):
        theirs.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match="isn't the summary of a job"):
            teach.main(["--teacher", teacher, "--input", "i", "--output", str(theirs.parent)])
        assert theirs.read_text(encoding="utf-8") == content


def settings(teacher: str, **more: Any) -> TeachSettings:
    return TeachSettings(teacher=teacher, input="i", output="o", **more)


def test_an_uncalibrated_teacher_is_held_to_a_bound_by_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unlike = unlike_bundle(tmp_path / "unlike")
    found = teach.bounded(settings(unlike)).prepare
    assert (found.min_confidence, found.min_character_confidence) == (0, teach.A_CHARACTER)
    assert found.val_share == teach.USUAL.val_share
    assert "isn't calibrated" in capsys.readouterr().out
    for kept in (
        settings(unlike, prepare=PrepareConfig(min_confidence=0.5, val_share=0.1)),
        settings(random_bundle(tmp_path / "calibrated")),
    ):
        assert teach.bounded(kept) == kept


def test_a_few_labels_by_hand_come_often_and_many_once() -> None:
    assert [teach.repeats(8000, count) for count in (100, 500, 2000, 9000)] == [8, 4, 1, 1]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train": TrainSettings(name="mine")}, "--train.name: this job decides that"),
        ({"read": BulkConfig(then="b")}, "a cascade doesn't teach"),
        ({"prepare": PrepareConfig()}, "--prepare.val-share is 0"),
        ({"labelled": ("a/b", "c"), "with_labels": ("c",)}, "both name .*c; what is trained on"),
        ({"to_label": -1}, "--to-label is -1"),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TeachSettings(teacher="t", input="i", output="o", **changed)
