from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from crnn.bundle.bundle import BUNDLE_FILE, load_bundle, save_bundle
from crnn.bundle.onnx_file import ONNX_FILE
from crnn.files import storage
from crnn.inference.recognizer import Recognizer
from jobs import export
from jobs.export import from_sets
from tests.crnn.networks import CHARSET, PICTURE, noise, sharp_model
from tests.jobs.runs import PROJECT, Run, here_and_as_a_process, refused, within
from tests.pipelines.evaluation_cases import digits, write_set

JOB = PROJECT / "jobs" / "export.py"


def saved(folder: Path | str, factor: float = 1.0) -> str:
    """A small bundle whose texts are far from ties; its digest."""
    model = sharp_model()
    with torch.no_grad():
        model.head.bias[1] *= factor
        model.head.weight[1, 0] *= factor
    return save_bundle(
        folder,
        model=model,
        charset=CHARSET,
        picture=PICTURE,
        name="untrained",
        data_digest="",
        metrics={},
    )


@pytest.mark.slow
@here_and_as_a_process(export.main, JOB, "nightly")
def test_from_any_folder_on_rendered_pictures(job: Run, tmp_path: Path) -> None:
    digest = saved(tmp_path / "bundle")
    done = job("--bundle", "bundle", "--pictures", "80", "--rounds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.onnx is not None and bundle.digest == digest
    proof = bundle.onnx.proof
    assert (proof.pictures, proof.widths) == (80, PICTURE.widths)
    assert set(proof.engines) == {"onnx", "openvino"}
    assert proof.max_probability_difference < 1e-3
    assert "proven on 80 pictures" in done.stdout and "engine 'auto' is 'onnx'" in done.stdout
    rates = re.findall(r"^(\w+) +[\d,]+ images/s +([\d.]+) times torch$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rates] == ["torch", "onnx", "openvino"]
    assert float(dict(rates)["torch"]) == 1
    pictures = [noise(seed, 30 + seed) for seed in range(60)]
    by_torch = Recognizer(bundle, engine="torch").read(pictures)
    for engine in ("onnx", "openvino"):
        results = Recognizer(bundle, engine=engine).read(pictures)
        assert [r.text for r in results] == [r.text for r in by_torch]
        pairs = zip(results, by_torch, strict=True)
        assert all(abs(ours.confidence - theirs.confidence) < 1e-3 for ours, theirs in pairs)


@pytest.mark.slow
def test_a_bundle_in_an_object_store_with_a_broken_model_on_a_prepared_set(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    address = storage.join(new_bucket(), "models/first")
    digest = saved(address)
    about = json.loads(storage.read_bytes(f"{address}/{BUNDLE_FILE}"))
    broken = json.dumps({**about, "onnx": {"file": ONNX_FILE}})
    storage.write_bytes(f"{address}/{BUNDLE_FILE}", broken.encode())
    storage.write_bytes(f"{address}/{ONNX_FILE}", b"cut short")
    write_set(tmp_path / "set", digits(30, seed=1))
    options = ("--data", "set", "--engine", "onnx", "--rounds", "1", "--reduced", "torch-bf16")
    done = within(export.main, "--bundle", address, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bundle = load_bundle(address)
    assert bundle.onnx is not None and bundle.digest == digest
    assert bundle.onnx.proof.pictures == 30 and set(bundle.onnx.proof.engines) == {"onnx"}
    assert "openvino" not in done.stdout
    assert bundle.reduced["torch-bf16"].pictures == 30
    assert f"engine 'torch-bf16': {bundle.reduced['torch-bf16']}" in done.stdout
    assert re.search(r"^torch-bf16 +[\d,]+ images/s", done.stdout, re.MULTILINE)


def test_what_is_not_proven_is_not_kept(tmp_path: Path) -> None:
    saved(tmp_path, factor=float("nan"))
    before = (tmp_path / BUNDLE_FILE).read_bytes()
    done = within(export.main, "--bundle", ".", "--pictures", "20", cwd=tmp_path)
    refused(done, 1, "'onnx' at width 32 px", "probability by nan; expected at most 0.001")
    assert (tmp_path / BUNDLE_FILE).read_bytes() == before
    assert not (tmp_path / ONNX_FILE).exists()


def test_bad_arguments_are_one_message_and_a_status(tmp_path: Path) -> None:
    saved(tmp_path / "bundle")
    for arguments, status, *words in (
        ("--bundle nowhere", 1, "nowhere: no such bundle"),
        ("--bundle bundle --engine torch", 2, "torch", "openvino"),
        ("--bundle bundle --reduced onnx", 2, "onnx", "torch-bf16"),
        ("--bundle bundle --pictures 0", 2, "--pictures is 0"),
        ("--bundle bundle --data nothing", 1, "nothing"),
    ):
        refused(within(export.main, *arguments.split(), cwd=tmp_path), status, *words)
    assert not (tmp_path / "bundle" / ONNX_FILE).exists()


@pytest.mark.parametrize(
    ("count", "expected"), [(10, (5, 5)), (7, (4, 3)), (1, (1, 0)), (80, (30, 25)), (56, (28, 25))]
)
def test_pictures_come_equally_from_the_beginning_of_each_set(
    tmp_path: Path, count: int, expected: tuple[int, int]
) -> None:
    sets = [digits(30, seed=1), digits(25, seed=2)]
    addresses = [write_set(tmp_path / str(i), rows) for i, rows in enumerate(sets)]
    wanted = [
        (row["image"], row["text"])
        for rows, n in zip(sets, expected, strict=True)
        for row in rows[:n]
    ]
    assert list(from_sets(addresses, count)) == wanted
