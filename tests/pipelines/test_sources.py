from __future__ import annotations

from pathlib import Path

import pytest

from crnn.errors import DataError
from pipelines.sources import scan


def rows(folder: Path, **options: object) -> list[tuple[str, str, str]]:
    table = scan(str(folder), **options).table.to_pylist()  # type: ignore[arg-type]
    return [(row["id"], row["text"], row["reason"]) for row in table]


def test_labels_tsv_in_all_its_shapes(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbfimages/1.jpg\tplain\r\n",
        b"./images/2.jpg\t two words \n",
        b"images/3.jpg\ttab\tinside\n",
        b"\n",
        "images/e\u0301.jpg\tcafe\u0301\n".encode(),
        b"images/4.jpg\t  \n",
        b"no tab here\n",
        b"images/5.jpg\t\xff\xfe\n",
        b"../outside.jpg\tx\n",
        b"/etc/x.jpg\tx\n",
        b"images/1.jpg\tagain\n",
        b"images/6.jpg\tlast line without an end",
    ]
    (tmp_path / "labels.tsv").write_bytes(b"".join(lines))
    assert rows(tmp_path) == [
        ("images/1.jpg", "plain", ""),
        ("images/2.jpg", "two words", ""),
        ("images/3.jpg", "tab\tinside", ""),
        ("images/e\u0301.jpg", "caf\u00e9", ""),
        ("images/4.jpg", "", "empty_label"),
        ("labels.tsv:7", "", "bad_line"),
        ("labels.tsv:8", "", "bad_line"),
        ("labels.tsv:9", "", "bad_line"),
        ("labels.tsv:10", "", "bad_line"),
        ("images/1.jpg", "again", "duplicate_id"),
        ("images/6.jpg", "last line without an end", ""),
    ]


def test_labels_csv_with_a_header(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(
        b'\xef\xbb\xbfLabel,other,File\r\n"a, ""b""",1,x.jpg\r\nshort\r\nc,2,y.jpg\r\n'
    )
    assert rows(tmp_path) == [
        ("x.jpg", 'a, "b"', ""),
        ("labels.csv:3", "", "bad_line"),
        ("y.jpg", "c", ""),
    ]


def test_a_csv_without_the_columns_says_which(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"\['a', 'b'\].*path.*text"):
        scan(str(tmp_path))


def test_mjsynth_takes_the_lexicon_and_checks_the_name(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("lube\nslinking\nother\n")
    (tmp_path / "annotation_train.txt").write_text(
        "./2425/1/115_Lube_0.jpg 0\n"
        "./2425/1/116_slinking_1.jpg 1\n"
        "./2425/1/117_MODELS_2.jpg 2\n"
        "./2425/1/118_x_9.jpg 9\n"
        "./2425/1/plain.jpg 2\n"
        "./2425/1/119_x.jpg\n"
    )
    (tmp_path / "annotation_val.txt").write_text(
        "./1/1/115_Lube_0.jpg 0\n./2425/1/115_Lube_0.jpg 0\n"
    )
    assert rows(tmp_path) == [
        ("2425/1/115_Lube_0.jpg", "Lube", ""),
        ("2425/1/116_slinking_1.jpg", "slinking", ""),
        ("2425/1/117_MODELS_2.jpg", "", "label_mismatch"),
        ("annotation_train.txt:4", "", "bad_line"),
        ("2425/1/plain.jpg", "other", ""),
        ("annotation_train.txt:6", "", "bad_line"),
        ("1/1/115_Lube_0.jpg", "Lube", ""),
        ("2425/1/115_Lube_0.jpg", "Lube", "duplicate_id"),
    ]
    assert len(rows(tmp_path, lists=["annotation_val.txt"])) == 2


def test_mjsynth_without_a_lexicon_reads_the_names(tmp_path: Path) -> None:
    (tmp_path / "annotation_a.txt").write_text("./1/1/3_re_do_7.jpg 7\n./1/1/nameless.jpg 7\n")
    assert rows(tmp_path) == [
        ("1/1/3_re_do_7.jpg", "re_do", ""),
        ("annotation_a.txt:2", "", "bad_line"),
    ]


def test_annotation_txt_counts_only_alone(tmp_path: Path) -> None:
    (tmp_path / "annotation.txt").write_text("./1/1/1_all_0.jpg 0\n")
    assert rows(tmp_path) == [("1/1/1_all_0.jpg", "all", "")]
    (tmp_path / "annotation_train.txt").write_text("./1/1/1_part_0.jpg 0\n")
    assert rows(tmp_path) == [("1/1/1_part_0.jpg", "part", "")]


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("a.jpg\tx\n")
    first = scan(str(tmp_path)).digest
    path.write_text("a.jpg\tx \r\n")
    assert scan(str(tmp_path)).digest == first
    path.write_text("a.jpg\ty\n")
    assert scan(str(tmp_path)).digest != first


def test_unusable_sources_say_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        scan(str(tmp_path / "none"))
    with pytest.raises(DataError, match="is empty"):
        scan(str(tmp_path))
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"none of labels\.tsv"):
        scan(str(tmp_path))
    with pytest.raises(DataError, match=r"none of annotation_"):
        scan(str(tmp_path), format="mjsynth")
    (tmp_path / "labels.tsv").write_text("\n")
    with pytest.raises(DataError, match="no lines"):
        scan(str(tmp_path))
    with pytest.raises(DataError, match=r"no typo\.tsv"):
        scan(str(tmp_path), lists=["typo.tsv"])
    with pytest.raises(ValueError, match="'lmdb'"):
        scan(str(tmp_path), format="lmdb")
    (tmp_path / "annotation_x.txt").write_text("./1/1/1_a_0.jpg 0\n")
    with pytest.raises(DataError, match="labels and mjsynth"):
        scan(str(tmp_path))
