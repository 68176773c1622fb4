"""What an earlier version began, this one goes on with; ``half_done`` is of that version.

``crnn prepare`` was killed before its manifest, and its third part taken away; ``crnn recognize``
had planned three pictures. Addresses are not those that were.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from pipelines.ledger import read_chunk
from pipelines.prepare import PrepareConfig, prepare
from pipelines.recognition.plan import Ledger
from tests.pipelines.evaluation_cases import rendered

HALF_DONE = Path(__file__).parent / "half_done"


@pytest.mark.usefixtures("local_ray")
def test_a_preparation(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(10):
        (source / f"{number}.png").write_bytes(rendered(str(number)))
    (source / "labels.tsv").write_text("".join(f"{n}.png\t{n}\n" for n in range(10)))
    shutil.copytree(HALF_DONE / "prepared", out)
    recipe = out / "_parts/recipe.json"
    recipe.write_text(recipe.read_text().replace("SOURCE", str(source)))
    with pytest.raises(DataError, match="was made with other settings: part_rows: 4 → 3; give"):
        prepare(str(source), str(out), PrepareConfig(part_rows=3))
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    (manifest,) = prepare(str(source), str(out), PrepareConfig(part_rows=4))
    assert [shard.rows for shard in manifest.shards] == [4, 4, 2]
    assert {path: path.stat().st_mtime_ns for path in done} == done
    ids = [id for s in manifest.shards for id in pq.read_table(out / s.name)["id"].to_pylist()]
    assert sorted(ids) == [f"{number}.png" for number in range(10)]


def test_a_bulk_job(tmp_path: Path) -> None:
    recipe = json.loads((HALF_DONE / "recognized/plans/recipe.json").read_text())
    ledger = Ledger(str(tmp_path), recipe["bundle"])
    shutil.copytree(HALF_DONE / "recognized/plans", ledger.work_uri)
    ledger.claim(recipe)
    with pytest.raises(DataError, match="made with other settings: chars: True → False; give"):
        ledger.claim({**recipe, "chars": False})
    (chunk,) = ledger.chunks_left()
    assert chunk.part == "part-00000-00000.parquet"
    names = [Path(uri).name for uri in read_chunk(chunk)["uri"].to_pylist()]
    assert names == ["0.png", "1.png", "2.png"]
    Path(ledger.results_uri).mkdir()
    (Path(ledger.results_uri) / chunk.part).touch()
    assert ledger.chunks_left() == []
