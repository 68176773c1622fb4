"""What may not be looked into or read in a source: a reject with its path, and the rest is read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crnn.errors import DataError
from pipelines.recognition.listing import list_inputs
from tests.pipelines.sources.made import PICTURE, files, items_of, tar
from tests.pipelines.sources.test_label_studio import said, task
from tests.pipelines.sources.test_pages import WORD, alto
from tests.unprivileged import as_nobody, open_folder

BOX = "0,0,30,0,30,20,0,20,{}\n"


@contextmanager
def closed(
    contents: dict[str, bytes | str], *paths: str, mode: int = 0, looped: str = ""
) -> Iterator[Path]:
    """A folder of files, of which these may be read by their owner alone, and one is a link to
    itself."""
    with open_folder() as folder:
        files(folder, contents)
        with suppress(DataError):
            items_of(folder)  # modules and codecs are loaded while everything may be read
        for path in paths:
            (folder / path).chmod(mode)
        if looped:
            (folder / looped).unlink()
            (folder / looped).symlink_to(looped)
        with as_nobody():
            yield folder


def told(folder: Path, **options: object) -> dict[str, tuple[str, str]]:
    return {item.id: (item.text, item.reason) for item in items_of(folder, **options)}


def test_a_folder_that_may_be_listed_and_not_entered_has_rows_in_a_bulk_job() -> None:
    contents: dict[str, bytes | str] = {"a.png": PICTURE, "shut/b.png": PICTURE}
    with closed(contents, "shut", mode=0o644) as folder:
        rows = [row for page in list_inputs(str(folder)) for row in page.to_pylist()]
    found = {Path(row["uri"]).name: row["etag"] for row in rows}
    assert set(found) == {"a.png", "b.png"}
    assert found["a.png"] and not found["b.png"]


def test_pairs() -> None:
    contents: dict[str, bytes | str] = {"shut/9.gt.txt": "nine", "shut/9.png": PICTURE}
    for name in "0123":
        contents |= {f"{name}.png": PICTURE, f"{name}.gt.txt": f"text {name}"}
    with closed(contents, "shut", "0.gt.txt") as folder:
        found = told(folder)
    assert found == {
        "0.png": ("", "no_label"),
        **{f"{n}.png": (f"text {n}", "") for n in "123"},
        "shut": ("", "unreadable"),
    }


def test_a_pair_whose_name_is_not_utf_8_has_its_own_name(tmp_path: Path) -> None:
    files(tmp_path, {"a.png": PICTURE, "a.gt.txt": "a"})
    for suffix in (".png", ".gt.txt"):
        (tmp_path / (os.fsdecode(b"caf\xe9") + suffix)).write_bytes(PICTURE)
    assert set(told(tmp_path)) == {"a.png", os.fsdecode(b"caf\xe9.png")}


def test_scenes() -> None:
    contents: dict[str, bytes | str] = {"shut/gt_img_7.txt": BOX.format("seven")}
    for number in range(1, 6):
        contents[f"img_{number}.png"] = PICTURE
        contents[f"gt_img_{number}.txt"] = BOX.format(f"w{number}")
    with closed(contents, "shut", "gt_img_1.txt") as folder:
        found = told(folder)
    assert found == {
        "gt_img_1.txt": ("", "bad_line"),
        **{f"img_{n}.png#1": (f"w{n}", "") for n in range(2, 6)},
        "shut": ("", "unreadable"),
    }


def test_pages_with_alto() -> None:
    contents: dict[str, bytes | str] = {"1.png": PICTURE, "2.png": PICTURE, "shut/3.xml": "x"}
    contents |= {"1.xml": alto(WORD), "2.xml": alto(WORD)}
    with closed(contents, "shut", "1.xml") as folder:
        found = told(folder)
    assert found["1.xml"][1] == found["shut"][1] == "unreadable"
    assert {id.partition("#")[0] for id in found} > {"2.png"}


@pytest.mark.parametrize("name", ["labels.tsv", "labels.jsonl", "labels.json", "gt.txt"])
def test_a_list_goes_on_behind_a_path_in_a_closed_folder(name: str) -> None:
    paths = [r"shut\1.png", r"open\2.png"]  # whether such names are Windows paths is looked up
    lists = {
        "labels.tsv": "".join(f"{path}\tx\n" for path in paths),
        "labels.jsonl": '{"file": "shut\\\\1.png", "text": "x"}\n' * 2,
        "labels.json": '{"shut/1.png": "x", "open/2.png": "x"}',
        "gt.txt": "".join(f'{path}, "x"\n' for path in paths),
    }
    contents: dict[str, bytes | str] = {"shut/1.png": PICTURE, "open/2.png": PICTURE}
    with closed(contents | {name: lists[name]}, "shut") as folder:
        assert [item.text for item in items_of(folder)] == ["x", "x"]


def table(text: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": [PICTURE], "text": [text]}), buffer)
    return buffer.getvalue()


def exported(texts: dict[str, str]) -> str:
    return json.dumps([task(said(text), image=path) for path, text in texts.items()])


SEVERAL: dict[str, Callable[[str], bytes | str]] = {
    "{}.tar": lambda n: tar({f"{n}.png": PICTURE, f"{n}.txt": f"text {n}"}),
    "{}.parquet": lambda n: table(f"text {n}"),
    "rec_gt_{}.txt": lambda n: f"{n}.png\ttext {n}\n",
    "{}_gt.txt": lambda n: f'{n}.png, "text {n}"\n',
    "label-studio-{}.json": lambda n: exported({f"{n}.png": f"text {n}"}),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_one_of_several_lists_or_archives(name: str) -> None:
    contents: dict[str, bytes | str] = {f"{n}.png": PICTURE for n in "123"}
    contents |= {name.format(n): SEVERAL[name](n) for n in "123"}
    shut, looped = name.format(1), name.format(2)
    with closed(contents, shut, looped=looped) as folder:
        items = items_of(folder)
    assert [item.text for item in items if not item.reason] == ["text 3"]
    rejects = {item.id: item.reason for item in items if item.reason}
    assert rejects == dict.fromkeys((shut, looped), "unreadable")


def test_pictures_of_an_export() -> None:
    contents: dict[str, bytes | str] = {"shut/1.png": PICTURE, "2.png": PICTURE, "3.png": PICTURE}
    contents["annotations.json"] = exported({"shut/1.png": "1", "2.png": "2", "3.png": "3"})
    with closed(contents, "shut", "3.png") as folder:
        found = told(folder)
    assert found == {
        "annotations.json:1": ("", "unreadable"),
        "2.png": ("2", ""),
        "annotations.json:3": ("", "unreadable"),
    }


def test_a_source_or_a_list_that_may_not_be_read_is_one_error() -> None:
    contents: dict[str, bytes | str] = {"in/a.png": PICTURE, "in/labels.tsv": "a.png\tx\n"}
    for path in ("in", "in/labels.tsv"):
        with closed(contents, path) as folder, pytest.raises(DataError, match="permissions"):
            items_of(folder / "in")
