"""What can't be looked into where labelled pictures are inspected: each has its row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from crnn.errors import DataError, PictureError
from pipelines.inspection import InspectConfig, inspect, plan_inspection
from pipelines.inspection.inputs import DataSet, find_sets, pieces
from pipelines.inspection.reading import PieceReader, SampleRow
from pipelines.inspection.write import write
from tests.pipelines.inspection.planted import PLAIN, counts, noise
from tests.unprivileged import as_nobody, open_folder

NAMED = replace(PLAIN, label_pattern=r"(?P<text>[^/.]+)\.png$")
LISTED = replace(PLAIN, lists=("labels.tsv",))
FILES = ("good.png", "locked.png", "secret/a.png")


def filled(root: Path) -> Path:
    for number, name in enumerate(FILES):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(noise(40, 24, number))
    (root / "labels.tsv").write_text("".join(f"{name}\tx\n" for name in FILES))
    return root


def rows_of(sets: Sequence[DataSet], reader: PieceReader) -> dict[str, str]:
    """Why there is no picture, by id; empty where there is one."""

    def why(row: SampleRow) -> str:
        return row.picture.reason if isinstance(row.picture, PictureError) else ""

    return {row.id: why(row) for piece in pieces(sets[0], 0) for row in reader.rows(piece)}


@pytest.mark.parametrize("config", [NAMED, LISTED], ids=["names", "list"])
def test_what_may_not_be_read_is_a_row_and_the_rest_is_read(config: InspectConfig) -> None:
    with open_folder() as folder:
        root = filled(folder)
        planned = plan_inspection([str(root)], config)
        reader = PieceReader(planned.sets, config)
        assert rows_of(planned.sets, reader) == dict.fromkeys(FILES, ""), "all can be read"
        (root / "loop").symlink_to("loop")
        (root / "gone.png").symlink_to("nowhere.png")
        (root / os.fsdecode(b"caf\xe9.png")).write_bytes(noise(40, 24, 9))
        (root / "locked.png").chmod(0)
        (root / "secret").chmod(0)
        with as_nobody():
            found = rows_of(find_sets([str(root)], config), reader)
    by_name = {
        "secret": "unreadable",
        "loop": "unreadable",
        "gone.png": "not_found",
        r"caf\udce9.png": "bad_name",
    }
    here = {"good.png": "", "locked.png": "unreadable"}
    of_list = {"secret/a.png": "unreadable"}
    assert found == here | (by_name if config is NAMED else of_list)


def test_a_source_that_may_not_be_looked_into_is_one_error() -> None:
    with open_folder() as folder:
        sets = find_sets([str(filled(folder))], NAMED)
        folder.chmod(0)
        with as_nobody():
            for look in (lambda: find_sets([str(folder)], NAMED), lambda: list(pieces(sets[0], 0))):
                with pytest.raises(DataError, match="check the file, its permissions"):
                    look()
        folder.chmod(0o755)


def test_a_name_that_is_not_utf_8_is_a_finding_of_the_report(
    tmp_path: Path, local_ray: None
) -> None:
    root = filled(tmp_path)
    (root / os.fsdecode(b"caf\xe9.png")).write_bytes(noise(40, 24, 9))
    (root / "loop").symlink_to("loop")
    inspection = inspect([str(root)], NAMED)
    assert (inspection.samples, counts(inspection)["unusable_entry"]) == (5, 1)
    assert r"caf\udce9.png" in Path(write(inspection, str(tmp_path / "out"))).read_text()
