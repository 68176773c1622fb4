"""The shipped bundle in every engine, through the whole bulk job, against a plain shell.

Engines that compute in fewer bits differ by about what the bundle says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino
import pytest

from crnn.bundle.bundle import load_bundle
from crnn.engines import AUTO, ENGINES, REDUCED
from crnn.engines.openvino_runtime import has_bf16
from crnn.errors import DataError, EngineError
from crnn.inference.recognizer import Recognizer
from crnn.result import Result
from pipelines.recognition import BulkConfig, recognize
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples
from tests.conftest import PROJECT_ROOT
from tests.pipelines.evaluation_cases import digits, write_set
from tests.pipelines.recognition.results import rows_of

pytestmark = pytest.mark.usefixtures("local_ray")
BUNDLE = str(PROJECT_ROOT / "bundles" / "strings")
COUNT, SOME, FEW = 1000, 300, 120
TOLERANCE = 1e-3


def rendered_set(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[Result]]:
    """The samples of a set in ``folder``, and what the recognizer reads in them."""
    config = RenderConfig(count=count, seed=9, split="held_out")
    samples = list(render_samples(config, chosen_fonts(config, system=False), 0, count))
    write_set(folder / "set", samples, row_group_rows=300)
    expected = Recognizer.load(BUNDLE, engine="torch").read([s["image"] for s in samples])
    assert sum(r.text == s["text"] for r, s in zip(expected, samples, strict=True)) > 0.8 * count
    return samples, expected


@pytest.mark.parametrize(
    ("count", "engines"),
    [
        pytest.param(FEW, (AUTO, "torch", "onnx", "openvino"), marks=pytest.mark.slow),
        pytest.param(COUNT, (AUTO, *ENGINES), marks=pytest.mark.nightly),
    ],
)
def test_many_pictures_read_alike_in_every_engine(
    tmp_path: Path, count: int, engines: tuple[str, ...]
) -> None:
    _, expected = rendered_set(tmp_path, count)
    for engine in engines:
        rows = rows_by(engine, tmp_path)
        assert [row["text"] for row in rows] == [result.text for result in expected], engine
        for row, result in zip(rows, expected, strict=True):
            assert abs(row["confidence"] - result.confidence) <= TOLERANCE, engine


@pytest.mark.slow
def test_engines_in_bfloat16_lose_what_the_bundle_says(tmp_path: Path) -> None:
    samples, expected = rendered_set(tmp_path, SOME)
    losses = load_bundle(BUNDLE).reduced
    assert set(losses) == set(REDUCED)
    for engine, loss in losses.items():
        if engine == "openvino-bf16" and not has_bf16(openvino.Core()):
            with pytest.raises(EngineError, match="needs a CPU with instructions for bfloat16"):
                Recognizer.load(BUNDLE, engine=engine).read(samples[0]["image"])
            continue
        pairs = zip(rows_by(engine, tmp_path), expected, strict=True)
        changed = sum(row["text"] != result.text for row, result in pairs)
        assert changed / SOME <= 3 * loss.changed / loss.pictures + 0.01, engine


def rows_by(engine: str, folder: Path) -> list[dict[str, Any]]:
    """What the bulk job writes of the set, in its order."""
    out = str(folder / engine)
    recognize(BUNDLE, str(folder / "set"), out, BulkConfig(engine=engine))
    return sorted(rows_of(out), key=lambda row: int(row["uri"].rpartition("#")[2]))


def test_rows_of_fewer_bits_and_others_are_not_mixed(tmp_path: Path) -> None:
    write_set(tmp_path / "set", digits(2, seed=1))
    rows_by("torch-bf16", tmp_path)
    with pytest.raises(DataError, match="reduced: 'torch-bf16' → None; give them as they were"):
        recognize(BUNDLE, str(tmp_path / "set"), str(tmp_path / "torch-bf16"), BulkConfig())
