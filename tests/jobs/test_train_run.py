"""A whole run of jobs/train.py on two workers, and what a second one of its name does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from crnn.bundle.bundle import load_bundle
from crnn.inference.recognizer import Recognizer
from crnn.training.optim_config import OptimConfig
from jobs import train
from jobs.training.tracking import REPORT_FILES
from tests.crnn.training.pictures import drawn
from tests.jobs.audits import Audit
from tests.jobs.recorder import track_to
from tests.jobs.runs import TINY, refused, within, without_control_characters
from tests.pipelines.stream.sets import bad, good, write_set

SAMPLES, EPOCHS = 230, 2
COMMAND = (
    *("--data", "set", "--val", "val", "--name", "first", "--num-workers", "2"),
    *("--epochs", str(EPOCHS), "--batch-pixels", str(8 * 32 * 64), "--audit", *TINY),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A folder with a set, of which some is unfit, and a run trained on it."""
    folder = tmp_path_factory.mktemp("run")
    write_set(folder / "set", [*good(SAMPLES), *bad()])
    write_set(folder / "val", good(40))
    with pytest.MonkeyPatch.context() as patch:
        track_to(folder / "tracked", patch)
        done = within(train.main, *COMMAND, "--track", "mlflow", cwd=folder)
    (folder / "stdout").write_text(done.stdout)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "runs" / "first"


def test_the_folder_is_whole(folder: Path) -> None:
    assert Image.open(folder / "curves.png").format == "PNG"
    assert Image.open(folder / "curves.png").width > 1000
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["settings"]["optim"]["lr"] == OptimConfig().lr
    assert config["facts"]["charset"] == "0123456789"
    report = json.loads((folder / "report.json").read_text())
    assert report["total"]["count"] == 40
    assert "<html" in (folder / "report.html").read_text()[:300]
    done = json.loads((folder / "done.json").read_text())
    assert done["rejects"] == {row["id"].removeprefix("bad-"): 1 for row in bad()}
    assert done["metrics"]["count"] == 40


def test_the_bundle_reads(folder: Path) -> None:
    bundle = load_bundle(str(folder / "bundle"))
    assert (bundle.name, bundle.charset.characters) == ("first", "0123456789")
    result = Recognizer(bundle).read(drawn("12"))
    assert result.error_code is None
    assert 0 <= result.confidence <= 1


def test_tensorboard_reads_the_events(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    validations = events.Scalars("validation/exact")
    assert [event.step for event in validations] == [SAMPLES, 2 * SAMPLES]
    assert events.Scalars("train/loss")
    assert all(event.value > 0 for event in events.Scalars("train/lr"))


def test_the_tracker_has_settings_validations_bundle_and_report(home: Path, folder: Path) -> None:
    tracked = home / "tracked"
    params = json.loads((tracked / "params.json").read_text())
    assert params["optim.lr"] == OptimConfig().lr
    assert params["name"] == "first"
    lines = [json.loads(line) for line in (tracked / "metrics.jsonl").read_text().splitlines()]
    assert [line["at"] for line in lines] == [SAMPLES, 2 * SAMPLES]
    assert all({"loss", "lr", "val_loss", "val_exact", "val_cer"} <= line.keys() for line in lines)
    assert load_bundle(str(tracked / "bundle")).digest == load_bundle(str(folder / "bundle")).digest
    assert {path.name for path in (tracked / "report").iterdir()} == set(REPORT_FILES)
    assert (tracked / "closed").exists()
    kept = json.loads((folder / "tracking.json").read_text())
    assert kept == {"track": "mlflow", "id": "first"}


def test_rejects_are_kept_by_id_and_reason(folder: Path) -> None:
    rejects = pq.read_table(folder / "rejects.parquet").to_pylist()
    assert {row["id"]: row["reason"] for row in rejects} == {
        row["id"]: row["id"].removeprefix("bad-") for row in bad()
    }
    assert all(row["message"] for row in rejects)


def test_two_workers_train_every_sample_of_every_epoch_once(folder: Path) -> None:
    audit = Audit(folder)
    (start,) = audit.starts
    assert start.ranks == 2
    for epoch in range(EPOCHS):
        assert audit.surviving(epoch) == Counter(f"good-{i}" for i in range(SAMPLES))
    assert all(start.samples_of(rank) > SAMPLES // 2 for rank in (0, 1)), "both had their share"


def test_the_log_is_plain_and_says_what_matters(home: Path) -> None:
    text = (home / "stdout").read_text()
    assert without_control_characters(text)
    assert "3 of 235 labels set aside: 1 empty_label, 1 unknown_character" in text
    assert text.count("validated on 40 at") == EPOCHS
    for word in ("images/s", "left", "loss", "words", "read as", "read exactly", "rejects: {"):
        assert word in text.lower()
    assert text.splitlines()[-1].endswith(f"{home}/runs/first/bundle")


def test_the_same_command_again_does_nothing(home: Path, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = within(train.main, *COMMAND, cwd=home)
    assert done.returncode == 0, done.stderr
    assert "run first is complete" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_other_settings_under_the_same_name_are_listed_and_refused(
    home: Path, folder: Path
) -> None:
    done = within(train.main, *COMMAND, "--optim.lr", "0.5", "--model.rnn", "gru", cwd=home)
    refused(
        done, 1, f"optim.lr: {OptimConfig().lr} → 0.5", "model.rnn: 'lstm' → 'gru'", "--overwrite"
    )
    assert "rnn_hidden" not in done.stderr
    assert (folder / "done.json").exists()


def test_a_failed_overwriting_leaves_the_old_run(home: Path, folder: Path) -> None:
    refused(within(train.main, *COMMAND, "--overwrite", "--data", "none", cwd=home), 1, "none")
    assert (folder / "done.json").exists()


@pytest.mark.nightly
def test_overwriting_starts_anew(home: Path, folder: Path, local_ray: None) -> None:
    left_over = folder / "audit/left-over"
    left_over.touch()
    again = ("--overwrite", "--num-workers", "1", "--epochs", "1")
    done = within(train.main, *COMMAND, *again, cwd=home)
    assert done.returncode == 0, done.stderr
    assert "resum" not in done.stdout
    assert not left_over.exists()
    (start,) = Audit(folder).starts
    assert start.ranks == 1
    assert Audit(folder).surviving(0) == Counter(f"good-{i}" for i in range(SAMPLES))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["settings"]["epochs"] == 1
