"""Rejects of a run lie in parts, by the checkpoint that brought them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.training.rejects import RejectParts
from pipelines.stream.assemble import Refusal


def refusal(number: int, reason: str = "undecodable") -> Refusal:
    return Refusal(id=f"sample-{number}", reason=reason, message=f"because of {number}")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "rejects").glob("*"))


def test_each_checkpoint_with_rejects_has_a_part_and_the_end_has_them_all(tmp_path: Path) -> None:
    parts = RejectParts(str(tmp_path))
    parts.write(900, [refusal(2), refusal(1)])
    parts.write(1_800, [])
    parts.write(10_000, [refusal(1, "non_finite_loss"), refusal(3, "non_finite_loss")])
    assert files(tmp_path) == ["part-000000000900.parquet", "part-000000010000.parquet"]
    for _ in range(2):  # a driver that died before it had written that the run is done
        assert parts.merge() == {"undecodable": 2, "non_finite_loss": 1}
    rows = pq.read_table(tmp_path / "rejects.parquet").to_pylist()
    assert [(row["id"], row["reason"]) for row in rows] == [
        ("sample-1", "undecodable"),
        ("sample-2", "undecodable"),
        ("sample-3", "non_finite_loss"),
    ]
    assert rows[0]["message"] == "because of 1"
    parts.clear()
    assert files(tmp_path) == []


def test_parts_of_checkpoints_that_were_lost_go(tmp_path: Path) -> None:
    parts = RejectParts(str(tmp_path))
    for samples in (100, 200, 300):
        parts.write(samples, [refusal(samples)])
    parts.forget_after(200)
    assert parts.merge() == {"undecodable": 2}


def test_a_run_without_rejects_has_an_empty_table(tmp_path: Path) -> None:
    parts = RejectParts(str(tmp_path))
    parts.forget_after(0)
    assert parts.merge() == {}
    table = pq.read_table(tmp_path / "rejects.parquet")
    assert (table.num_rows, table.column_names) == (0, ["id", "reason", "message"])


@pytest.mark.usefixtures("s3_endpoint")
def test_in_an_object_store(new_bucket: Callable[[], str]) -> None:
    parts = RejectParts(f"{new_bucket()}/run")
    assert parts.merge() == {}
    parts.write(5, [refusal(1)])
    parts.write(6, [refusal(2)])
    parts.forget_after(5)
    assert parts.merge() == {"undecodable": 1}
