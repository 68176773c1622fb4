"""Which format a source is of, and what is said when it is of none."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources import FORMATS, open_source
from tests.pipelines.sources.made import PICTURE, files, items_of, options, put, rows, tar


def test_unusable_sources_say_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        rows(tmp_path / "none")
    with pytest.raises(DataError, match="is empty"):
        rows(tmp_path)
    (tmp_path / "labels.tsv").write_text("a.jpg\tb\n")
    with pytest.raises(DataError, match=r"no typo\.tsv; it has labels\.tsv"):
        rows(tmp_path, lists=["typo.tsv"])
    with pytest.raises(ValueError, match="'tiff'; expected auto or one of prepared, labels"):
        rows(tmp_path, format="tiff")
    with pytest.raises(ValueError, match="--label-pattern"):
        rows(tmp_path, format="names")
    with pytest.raises(DataError, match=r"(?s)no such source.*mjsynth: lacks .*annotation_"):
        rows(tmp_path, format="mjsynth")


def test_no_format_fits_and_what_each_lacks(tmp_path: Path) -> None:
    files(tmp_path, {"1.jpg": PICTURE, "readme.txt": "x"})
    with pytest.raises(DataError) as told:
        rows(tmp_path)
    lines = str(told.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == list(FORMATS)
    assert all("lacks" in line for line in lines[1:])
    for word in ("labels.tsv", "annotation_*.txt", "gt.txt", "data.mdb", "*.tar", "*.parquet"):
        assert word in str(told.value)
    assert "--label-pattern" in str(told.value), "file names are labels only when that is said"


def test_two_formats_that_fit_are_a_question(tmp_path: Path) -> None:
    files(tmp_path, {"labels.tsv": "a.jpg\tx\n", "annotation_x.txt": "./1/1/1_a_0.jpg 0\n"})
    with pytest.raises(DataError, match="labels and mjsynth; choose with --format"):
        rows(tmp_path)
    assert open_source(str(tmp_path), format="mjsynth").names == ("annotation_x.txt",)


def test_a_tar_of_something_else_says_what_it_holds(tmp_path: Path) -> None:
    files(tmp_path, {"code.tar": tar({"main.py": "x", "1.jpg": PICTURE}), "bad.tgz": b"no tar"})
    with pytest.raises(DataError, match=r"webdataset: lacks a readable tar: .*bad\.tgz"):
        rows(tmp_path)
    with pytest.raises(DataError, match=r"label of one name in .*code\.tar; it has main\.py, 1"):
        rows(tmp_path / "code.tar")


def test_an_unfinished_prepared_set_is_not_taken_for_parquet(tmp_path: Path) -> None:
    files(tmp_path, {"_parts/recipe.json": "{}", "part-00000-000.parquet": b"PAR1"})
    with pytest.raises(DataError, match=r"(?s)prepared: lacks .*unfinished.*parquet: lacks"):
        rows(tmp_path)


@pytest.mark.parametrize("place", ["here", "store"])
def test_names_that_look_like_patterns_are_names(
    tmp_path: Path, new_bucket: Callable[[], str], place: str
) -> None:
    name, decoy = "w[1]*?.png", "w1xy.png"
    table = io.BytesIO()
    pq.write_table(pa.table({"image": [PICTURE], "text": ["a"]}), table)
    sources: dict[str, dict[str, bytes | str]] = {
        "labels": {"labels.tsv": f"{name}\ta\n", name: PICTURE, decoy: b"x"},
        "pairs": {"w[1]*?.gt.txt": "a", name: PICTURE, decoy: b"x"},
        "names": {f"a/{name}": PICTURE},
        "webdataset": {"s[1]*?.tar": tar({name: PICTURE, "w[1]*?.txt": "a"})},
        "parquet": {"t[1]*?.parquet": table.getvalue()},
    }
    for format, contents in sources.items():
        below = f"set [2024]*? {format}"
        folder = tmp_path / below if place == "here" else storage.join(new_bucket(), below)
        pattern = "(?P<text>[^/]+)/[^/]+$" if format == "names" else ""
        source = open_source(put(folder, contents), options=options(label_pattern=pattern))
        assert source.format == format
        found = [item for item in source.items() if not item.reason]
        assert [item.text for item in found] == ["a"]
        assert source.read(found) == [PICTURE]
    lists = {"l[1]*?.tsv": f"{name}\tb\n", "l1xy.tsv": "no.png\tx\n", name: PICTURE}
    asked = items_of(put(folder, lists), lists=["l[1]*?.tsv"])
    assert [(item.id, item.text) for item in asked] == [(name, "b")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.csv", "file,text\n1.png,a\n"),
        ("Labels.TSV", "1.png\ta\n"),
        ("my labels.txt", "1.png\ta\n"),
        ("train.json", '{"1.png": "a"}'),
    ],
)
def test_a_list_under_another_name_is_read_with_the_flag_that_is_told(
    tmp_path: Path, name: str, content: str
) -> None:
    files(tmp_path, {name: content, "1.png": PICTURE, "readme.txt": "x"})
    with pytest.raises(DataError) as told:
        rows(tmp_path)
    assert shlex.split(str(told.value).splitlines()[-1])[-2:] == ["--lists", name]
    assert rows(tmp_path, lists=[name]) == [("1.png", "a", "")]
