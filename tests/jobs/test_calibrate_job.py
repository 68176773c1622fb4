"""Confidences fitted to labelled pictures: of an imported bundle, and of a trained one."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from crnn import load_bundle
from crnn.bundle.calibration import fit
from crnn.inference.recognizer import Recognizer
from jobs import calibrate
from tests.crnn.networks import noise
from tests.jobs.runs import PROJECT, Run, here_and_as_a_process, refused, within
from tests.jobs.test_import_job import LISTED, imported
from tests.pipelines.evaluation_cases import digits, sample, write_set

JOB = PROJECT / "jobs" / "calibrate.py"


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(seed, 64 + seed % 50)).save(file, "PNG")
    return file.getvalue()


def half_right(folder: Path, bundle: Path, count: int = 80) -> str:
    """A set in which the surer half of the readings is right, save every seventh."""
    recognizer = Recognizer.load(bundle)
    results = [recognizer.read(png(seed)) for seed in range(count)]
    middle = float(np.median([result.confidence for result in results]))
    rows = []
    for seed, result in enumerate(results):
        right = (result.confidence > middle) != (seed % 7 == 0)
        rows.append(sample(f"s{seed}", result.text if right else "hhhhh", png(seed)))
    return write_set(folder, rows)


@here_and_as_a_process(calibrate.main, JOB)
def test_an_imported_bundle_gets_confidences_that_mean_something(job: Run, tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    half_right(tmp_path / "set", out)
    before = load_bundle(out)
    done = job("--bundle", "out", "--data", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = load_bundle(out)
    assert after.digest != before.digest and after.digest in done.stdout
    assert "80 pictures, 5" in done.stdout and "before," in done.stdout
    assert sum(b.count for b in after.reliability) == 80
    samples = [(png(seed), "") for seed in range(80)]
    log_probabilities, _ = calibrate.read(Recognizer(before), samples)
    results = Recognizer(after).read([data for data, _ in samples])
    for value, result in zip(log_probabilities, results, strict=True):
        assert result.confidence == pytest.approx(after.calibration.apply(value), abs=1e-4)
    assert after.calibration.slope > 0 and after.calibration != before.calibration


def test_the_calibration_is_that_of_all_pictures(tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    half_right(tmp_path / "set", out)
    samples = [(row, text) for row, text in calibrate_samples(tmp_path / "set")]
    expected = fit(*calibrate.read(Recognizer.load(out), samples))
    assert within(calibrate.main, "--bundle", "out", "--data", "set", cwd=tmp_path).returncode == 0
    assert load_bundle(out).calibration == expected


def test_without_labels_what_is_read_the_same_wider_counts_as_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "WIDER", 1.02)  # untrained weights read anything wider otherwise
    out = imported(tmp_path, LISTED)
    (tmp_path / "noise").mkdir()
    for seed in range(60):
        soft = Image.open(io.BytesIO(png(seed))).filter(ImageFilter.GaussianBlur(4))
        soft.save(tmp_path / f"noise/{seed}.png")
    (tmp_path / "noise/bad.png").write_bytes(b"none")
    recognizer = Recognizer.load(out)
    pictures = [(tmp_path / f"noise/{seed}.png").read_bytes() for seed in range(60)]
    _, agreed = calibrate.read_wider(recognizer, pictures)
    assert len(agreed) == 60 and 0 < sum(agreed) < 60
    done = within(calibrate.main, "--bundle", "out", "--pictures", "noise", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 pictures" in done.stdout and "read the same wider" in done.stdout
    after = load_bundle(out)
    assert after.calibration.slope >= 0 and after.calibration != recognizer.bundle.calibration
    assert not after.reliability  # nobody knows which readings were right
    refused(within(calibrate.main, "--bundle", "out", cwd=tmp_path), 2, "expected one of them")


def calibrate_samples(address: Path) -> list[tuple[bytes, str]]:
    from pipelines.samples import from_sets

    return list(from_sets([str(address)], 1000))


def test_a_trained_bundle_keeps_its_weights_and_its_onnx_model(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "bundles" / "strings", tmp_path / "bundle")
    before = load_bundle(tmp_path / "bundle")
    rows = digits(60, seed=3)
    wrong = [
        {**row, "text": row["text"] + "1"} if n % 5 == 0 else row for n, row in enumerate(rows)
    ]
    write_set(tmp_path / "set", wrong)
    done = within(calibrate.main, "--bundle", "bundle", "--data", "set", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = load_bundle(tmp_path / "bundle")
    assert after.weights_sha256 == before.weights_sha256 and after.onnx == before.onnx
    assert after.calibration != before.calibration


def test_what_says_nothing_about_confidences_is_refused(tmp_path: Path) -> None:
    out = imported(tmp_path, LISTED)
    before = (out / "bundle.json").read_bytes()
    write_set(tmp_path / "wrong", [sample(f"s{n}", "hhhhh", png(n)) for n in range(60)])
    write_set(tmp_path / "few", [sample(f"s{n}", "hhhhh", png(n)) for n in range(10)])
    for arguments, status, *words in (
        ("--bundle out --data wrong", 1, "0 of 60 pictures are read right"),
        ("--bundle out --data few", 1, "of 10 pictures", "expected at least 50"),
        ("--bundle out --data nowhere", 1, "nowhere"),
        ("--bundle nowhere --data few", 1, "nowhere"),
        ("--bundle out --data few --samples 3", 2, "--samples is 3"),
    ):
        refused(within(calibrate.main, *arguments.split(), cwd=tmp_path), status, *words)
    assert (out / "bundle.json").read_bytes() == before
