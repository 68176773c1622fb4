"""Formats whose lists name picture files: labels, mjsynth, icdar; and names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crnn.errors import DataError
from pipelines.sources import open_source
from pipelines.sources.item import pictured
from tests.pipelines.sources.made import PICTURE, files, items_of, options, rows


def test_addresses_of_label_studio_are_no_paths_and_the_export_that_is_read_is_named() -> None:
    refused = pictured("a.csv:2", "/data/local-files/?d=tasks/images/1.jpg", "one")
    assert refused.reason == "bad_line" and "export from Label Studio as JSON" in refused.message
    assert "Label Studio" not in pictured("a.csv:3", "/data/1.jpg", "one").message


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
        b"s3://b/x.jpg\tx\n",
        b"images/1.jpg\tagain\n",
        b".//images/.//7.jpg\ta folder that leads nowhere\n",
        b"images/6.jpg\tlast line without an end",
    ]
    (tmp_path / "labels.tsv").write_bytes(b"".join(lines))
    assert rows(tmp_path) == [
        ("images/1.jpg", "plain", ""),
        ("images/2.jpg", " two words ", ""),
        ("labels.tsv:3", "", "bad_line"),
        ("images/e\u0301.jpg", "cafe\u0301", ""),
        ("images/4.jpg", "  ", ""),
        ("labels.tsv:7", "", "bad_line"),
        ("labels.tsv:8", "", "bad_line"),
        ("labels.tsv:9", "", "bad_line"),
        ("labels.tsv:10", "", "bad_line"),
        ("labels.tsv:11", "", "bad_line"),
        ("images/1.jpg", "again", ""),
        ("images/7.jpg", "a folder that leads nowhere", ""),
        ("images/6.jpg", "last line without an end", ""),
    ]


def test_labels_csv_with_a_header(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(
        b'\xef\xbb\xbfLabel,other,File\r\n"a, ""b""",1,x.jpg\r\nshort\r\n"c\nd",2,y.jpg\r\n'
        b"\xff,3,z.jpg\r\n"
    )
    assert rows(tmp_path) == [
        ("x.jpg", 'a, "b"', ""),
        ("labels.csv:3", "", "bad_line"),
        ("y.jpg", "c\nd", ""),
        ("labels.csv:6", "", "bad_line"),
    ]


def test_labels_jsonl_and_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    lines = [
        json.dumps({"file_name": "1.jpg", "text": "one", "receipt": 7}),
        json.dumps({"file_name": "2.jpg", "text": 2, "receipt": None}),
        json.dumps({"file_name": "3.jpg", "receipt": 7}),
        json.dumps(["4.jpg", "four"]),
        "{half",
        json.dumps({"file_name": "5.jpg", "text": None, "receipt": 7}),
        json.dumps({"file_name": "6.jpg", "text": "\ud800", "receipt": 7}),
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    found = items_of(tmp_path, options=options(group_column="receipt"))
    assert [(item.id, item.text, item.group, item.reason) for item in found] == [
        ("1.jpg", "one", "7", ""),
        ("2.jpg", "2", "", ""),
        *((f"metadata.jsonl:{number}", "", "", "bad_line") for number in range(3, 6)),
        ("5.jpg", "", "", "no_label"),
        ("metadata.jsonl:7", "", "", "bad_line"),
    ]
    (tmp_path / "other.csv").write_text("a,b\nx.jpg,y\n")
    asked = options(image_column="a", text_column="b")
    assert rows(tmp_path, lists=["other.csv"], options=asked) == [("x.jpg", "y", "")]


def test_a_csv_without_the_columns_says_which(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"\['a', 'b'\].*path.*text.*--image-column"):
        rows(tmp_path)


def test_a_list_in_utf_16_says_so(tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text("a.jpg\tx\n", encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16"):
        rows(tmp_path)


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
    (tmp_path / "annotation_val.txt").write_text("./1/1/115_Lube_0.jpg 0\n")
    assert rows(tmp_path) == [
        ("2425/1/115_Lube_0.jpg", "Lube", ""),
        ("2425/1/116_slinking_1.jpg", "slinking", ""),
        ("2425/1/117_MODELS_2.jpg", "", "label_mismatch"),
        ("annotation_train.txt:4", "", "bad_line"),
        ("2425/1/plain.jpg", "other", ""),
        ("annotation_train.txt:6", "", "bad_line"),
        ("1/1/115_Lube_0.jpg", "Lube", ""),
    ]
    assert len(rows(tmp_path, lists=["annotation_val.txt"])) == 1


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


@pytest.mark.parametrize(
    ("line", "id", "text"),
    [
        ('word_1.png, "Genaxis Theatre"', "word_1.png", "Genaxis Theatre"),
        ('word_2.png,"[06]"', "word_2.png", "[06]"),
        ("word_3.png, 62-03", "word_3.png", "62-03"),
        ('word_4.png, "a, b"', "word_4.png", "a, b"),
        ("word_5.png, a, b", "word_5.png", "a, b"),
        ('word_6.png, "\\"Golden\\""', "word_6.png", '"Golden"'),
        ('word_7.png, "a\\\\b"', "word_7.png", "a\\b"),
        ('word_8.png, "5"" nails"', "word_8.png", '5" nails'),
        ('word_9.png, """', "word_9.png", '"'),
        ('word_10.png, 5"', "word_10.png", '5"'),
        ('a, b.jpg, "x"', "a, b.jpg", "x"),
        ('below/1.jpg , "x"', "below/1.jpg", "x"),
    ],
)
def test_icdar_lines_as_found_in_the_wild(tmp_path: Path, line: str, id: str, text: str) -> None:
    (tmp_path / "gt.txt").write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")
    assert open_source(str(tmp_path)).format == "icdar"
    assert rows(tmp_path) == [(id, text, "")]


def test_icdar_words_that_nobody_can_read_and_lines_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text('1.png, "###"\n2.png, "x"\nno comma\n3.png, ""\n')
    assert rows(tmp_path) == [
        ("1.png", "", "unreadable_label"),
        ("2.png", "x", ""),
        ("gt.txt:3", "", "bad_line"),
        ("3.png", "", ""),
    ]
    assert items_of(tmp_path)[0].picture is not None, "its bytes go with the reject"


def test_names_by_a_pattern_with_text_and_group(tmp_path: Path) -> None:
    names = ["7/a_1.jpg", "7/B c_2.PNG", "8/plain.jpg", "notes.txt"]
    files(tmp_path, dict.fromkeys(names, PICTURE))
    pattern = r"(?P<group>\d+)/(?P<text>[^/_]+)_\d+\."
    found = items_of(tmp_path, options=options(label_pattern=pattern))
    assert [(item.id, item.text, item.group, item.reason) for item in found] == [
        ("7/B c_2.PNG", "B c", "7", ""),
        ("7/a_1.jpg", "a", "7", ""),
        ("8/plain.jpg", "", "", "no_label"),
    ]
    source = open_source(str(tmp_path), options=options(label_pattern=pattern))
    assert source.read(found[:1]) == [PICTURE]


@pytest.mark.parametrize("pattern", ["(", r"(\w+)\.jpg"])
def test_label_patterns_that_are_none(tmp_path: Path, pattern: str) -> None:
    files(tmp_path, {"a.jpg": PICTURE})
    with pytest.raises(ValueError, match="--label-pattern"):
        rows(tmp_path, options=options(label_pattern=pattern))


def test_a_name_that_is_no_unicode_is_listed(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(PICTURE)
    found = items_of(tmp_path, options=options(label_pattern=r"(?P<text>.+)\.jpg"))
    assert [item.id for item in found] == ["caf\udce9.jpg"]


def test_a_label_that_is_what_a_recognizer_has_written_is_no_text(tmp_path: Path) -> None:
    texts = {
        '[["TOTAL", 0.98]]': "bad_line",
        '{"words": ["TOTAL"]}': "bad_line",
        "[1]": "",
        "{": "",
    }
    lines = "".join(f"{n}.png\t{text}\n" for n, text in enumerate([*texts, "[[", "[] {}"]))
    files(tmp_path, {"rec_gt.txt": lines + '["a.png", 5]\tx\n'})
    found = items_of(tmp_path)
    assert [item.reason for item in found] == [*texts.values(), "", "", ""]
    assert "is data in JSON" in found[0].message and found[2].text == "[1]"
    assert found[-1].id == '["a.png", 5]', "no list of paths: a file that isn't there"
