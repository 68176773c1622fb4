"""Labels made wrong on purpose are found by a bundle that reads well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crnn.bundle.shipped import default_bundle
from crnn.errors import BundleError
from pipelines.inspection import inspect, plan_inspection
from pipelines.inspection.findings_file import FINDINGS_NAME
from pipelines.inspection.write import HTML_NAME, write
from pipelines.prepare import PrepareConfig, prepare
from pipelines.shards import Sample
from tests.pipelines.inspection.planted import PLAIN, by_set, examples, noise, prepared, row

WORDS = ("Invoice", "HOTEL", "2026-11-28", "street", "Market", "4711", "TOTAL", "coffee", "yellow",
         "Friday", "window", "PARKING", "number", "18:45", "garden", "school")  # fmt: skip


def labelled(prefix: str, wrong: int) -> list[Sample]:
    """Pictures of all words; the first ``wrong`` of them have the next one's label."""
    made = [row(f"{prefix}{i}", word) for i, word in enumerate(WORDS)]
    for i in range(wrong):
        made[i]["text"] = WORDS[i + 1]
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_wrong_labels_are_contradicted_the_most_confident_first(tmp_path: Path) -> None:
    train = [*labelled("t", 5), row("greek", "\u03b1\u03b2\u03b3", noise(60, 24))]
    sets = [prepared(tmp_path / "train", train), prepared(tmp_path / "val", labelled("v", 2))]
    config = replace(PLAIN, bundle=default_bundle())
    inspection = inspect(sets, config)
    wrong = {f"t{i}" for i in range(5)} | {"v0", "v1"}
    assert by_set(inspection, "contradicted") == {"train": 5, "val": 2}
    assert {id for (id,) in examples(inspection, "contradicted")} == wrong
    (found,) = (f for f in inspection.findings if f.code == "contradicted")
    assert found.details["beyond_charset"] == 1
    assert found.examples[0].message.startswith("read as '")
    write(inspection, str(tmp_path / "report"))
    assert "Labels that a trained model contradicts" in (tmp_path / "report" / HTML_NAME).read_text(
        encoding="utf-8"
    )
    rows = pq.read_table(tmp_path / "report" / FINDINGS_NAME).to_pylist()
    rows = [r for r in rows if r["kind"] == "contradicted"]
    assert {(r["set"], r["id"]) for r in rows} == {
        ("train" if id[0] == "t" else "val", id) for id in wrong
    }
    confidences = [r["confidence"] for r in rows]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0.9 <= c <= 1 for c in confidences)
    shown = [id for (id,) in examples(inspection, "contradicted")]
    assert [r["id"] for r in rows] == shown
    drop = PrepareConfig(drop=str(tmp_path / "report"), kinds=("contradicted",))
    (manifest,) = prepare(sets[0], str(tmp_path / "clean"), drop)
    assert manifest.rejects == {"contradicted": 5}


def test_a_bundle_that_is_not_there_and_no_confidence(tmp_path: Path) -> None:
    address = prepared(tmp_path / "set", labelled("t", 0))
    with pytest.raises(BundleError, match="nowhere"):
        plan_inspection([address], replace(PLAIN, bundle=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"--contradicted-from is 1\.5; expected"):
        replace(PLAIN, contradicted_from=1.5)
