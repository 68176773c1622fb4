"""Files of predictions: rolled over, taken up again up to the first gap, whole or not there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.text.metrics import Sums
from pipelines.evaluation.parts import Covered, Parts, are_begun
from pipelines.evaluation.plan import Piece, behind
from pipelines.evaluation.reader import PREDICTION_SCHEMA, PieceOutcome
from pipelines.evaluation.tally import (
    ReadingTally,
)
from tests.pipelines.evaluation_cases import mistake


def outcome(*ids: str) -> PieceOutcome:
    rows = [{"set": "s", "id": one, "exact": False} for one in ids]
    tally = ReadingTally(problems=Counter({("s", "r"): len(ids)}))
    tally.sums["s", 3] += Sums(count=len(ids), similarity=0.1)
    tally.confident = [mistake(3)]
    table = pa.Table.from_pylist(rows, schema=PREDICTION_SCHEMA)
    return PieceOutcome(rows=len(ids) + 1, predictions=table, tally=tally, engine="torch")


def test_predictions_roll_over_and_older_ones_go(tmp_path: Path) -> None:
    (tmp_path / "part-00009.parquet").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("kept")
    with Parts(str(tmp_path), "recipe", file_rows=20) as parts:
        assert list(parts.taken_up()) == []
        for first in range(0, 50, 10):
            parts.write(outcome(*map(str, range(first, first + 10))))
    names = ["notes.txt", "part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [pq.read_table(tmp_path / name).num_rows for name in names[1:]] == [20, 20, 10]


def test_what_was_read_is_taken_up_up_to_the_first_gap(tmp_path: Path) -> None:
    with Parts(str(tmp_path), "this", file_rows=2) as parts:
        for one in ("ab", "cd", "ef", "gh"):
            parts.write(outcome(*one))
    (tmp_path / "part-00002.parquet").write_bytes(b"no longer a table")
    assert are_begun(str(tmp_path), "this") and not are_begun(str(tmp_path), "another")
    with Parts(str(tmp_path), "this", file_rows=2) as parts:
        covered = Covered()
        ids = []
        for before, table in parts.taken_up():
            covered.add(before)
            ids += table["id"].to_pylist()
        assert ids == ["a", "b", "c", "d"]
        assert (covered.rows, covered.engines) == (6, {"torch"})
        assert covered.tally.sums["s", 3] == Sums(count=4, similarity=0.2)
        assert covered.tally.problems == {("s", "r"): 4}
        assert covered.tally.confident == [mistake(3), mistake(3)]
        assert files_of(tmp_path) == ["part-00000.parquet", "part-00001.parquet"]
        parts.write(outcome("x", "y"))
    assert pq.read_table(tmp_path)["id"].to_pylist() == ["a", "b", "c", "d", "x", "y"]
    with Parts(str(tmp_path), "another") as parts:
        assert list(parts.taken_up()) == []
    assert files_of(tmp_path) == []


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_interruption_keeps_what_was_read_and_a_full_disk_nothing_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), Parts(str(tmp_path), "this") as parts:
        parts.write(outcome("a"))
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="full"), Parts(str(tmp_path), "this") as parts:
        [_] = parts.taken_up()
        parts.write(outcome("b"))

        def full(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
        parts.write(outcome("c"))
    assert files_of(tmp_path) == ["part-00000.parquet"]
    assert pq.read_table(tmp_path)["id"].to_pylist() == ["a"]


def test_pieces_behind_some_rows() -> None:
    pieces = [
        Piece(set="s", uri="u", shard="x", index=i, start=3, stop=stop)
        for i, stop in enumerate((13, 8))
    ]
    assert behind(pieces, 0) == pieces
    assert behind(pieces, 4) == [replace(pieces[0], start=7), pieces[1]]
    assert behind(pieces, 10) == pieces[1:]
    assert behind(pieces, 12) == [replace(pieces[1], start=5)]
    assert behind(pieces, 15) == []
