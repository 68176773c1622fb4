"""Pictures that harm decoders, among good ones, through the whole bulk job."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.inference.recognizer import Recognizer
from pipelines.recognition import BulkConfig, recognize
from tests.crnn import poison
from tests.pipelines.evaluation_cases import random_bundle, rendered
from tests.pipelines.recognition.results import assert_once, rows_of

pytestmark = pytest.mark.usefixtures("local_ray")
MEMORY_MB = 512
MEMORY_CODES = ("out_of_memory", "decoder_died")
HOG_SIDES_PX = (7_900, 8_000)
"""With its alpha channel, a picture of more bytes than that in the steps of decoding it."""


@pytest.mark.slow
def test_each_is_a_text_or_an_error_and_its_neighbours_are_read(tmp_path: Path) -> None:
    bundle, folder = random_bundle(tmp_path / "bundle"), tmp_path / "in"
    folder.mkdir()
    cases = poison.corpus()
    expected = {}
    for number, (name, case) in enumerate(cases.items()):
        good = rendered(str(number))
        (folder / f"{number:03d}-a.png").write_bytes(good)
        bad = folder / f"{number:03d}-b {name.replace('/', ' ')}"
        bad.write_bytes(case.data)
        expected[str(bad)] = case
    hog = folder / "memory.png"
    hog.write_bytes(poison.flat_png(*HOG_SIDES_PX, 6, 4))
    config = BulkConfig(all_files=True, decode_memory_mb=MEMORY_MB)
    outcome = recognize(bundle, str(folder), str(tmp_path / "out"), config)
    rows = {row["uri"]: row for row in rows_of(str(tmp_path / "out"))}
    assert_once(rows_of(str(tmp_path / "out")), {str(path) for path in folder.iterdir()})
    assert rows.pop(str(hog))["error_code"] in MEMORY_CODES
    recognizer = Recognizer.load(bundle)
    for uri, row in rows.items():
        if uri in expected:
            code = row["error_code"]
            assert code in MEMORY_CODES or expected[uri].allows(code), (uri, row)
            assert (row["text"] is None) == (row["error_code"] is not None)
        else:
            assert row["text"] == recognizer.read(uri).text, uri
    assert outcome.report["rows"] == 2 * len(cases) + 1
