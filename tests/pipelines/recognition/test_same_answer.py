"""The shipped bundle in every engine, through the whole bulk job, against a plain shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.engines import AUTO, ENGINES
from crnn.recognizer import Recognizer
from pipelines.recognition import BulkConfig, recognize
from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples
from tests.pipelines.conftest import PROJECT_ROOT
from tests.pipelines.evaluation_cases import write_set
from tests.pipelines.recognition.results import rows_of

pytestmark = pytest.mark.usefixtures("local_ray")
BUNDLE = str(PROJECT_ROOT / "bundles" / "strings")
COUNT = 1000
TOLERANCE = 1e-3


def test_a_thousand_pictures_read_alike_in_every_engine(tmp_path: Path) -> None:
    config = RenderConfig(count=COUNT, seed=9, split="held_out")
    samples = list(render_samples(config, chosen_fonts(config, system=False), 0, COUNT))
    write_set(tmp_path / "set", samples, row_group_rows=300)
    expected = Recognizer.load(BUNDLE, engine="torch").read([s["image"] for s in samples])
    assert sum(r.text == s["text"] for r, s in zip(expected, samples, strict=True)) > 0.8 * COUNT
    for engine in (AUTO, *ENGINES):
        out = str(tmp_path / engine)
        recognize(BUNDLE, str(tmp_path / "set"), out, BulkConfig(engine=engine))
        rows = sorted(rows_of(out), key=lambda row: int(row["uri"].rpartition("#")[2]))
        assert [row["text"] for row in rows] == [result.text for result in expected], engine
        for row, result in zip(rows, expected, strict=True):
            assert abs(row["confidence"] - result.confidence) <= TOLERANCE, engine
