"""Tables as people's programs write them: delimiters, quotes, widths, line ends."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crnn.errors import DataError
from pipelines.sources import open_source
from tests.pipelines.sources.made import files, items_of, options, rows


def table(folder: Path, text: str, name: str = "labels.csv") -> list[tuple[str, str, str]]:
    files(folder, {name: text})
    return rows(folder)


def test_a_comma_without_quotes_in_the_second_of_two_columns_is_the_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = 'filename,words\n0.png,Hello, world\n1.png,1,299.00\n2.png,say "hi"\n3.png,"a, b"\n'
    with caplog.at_level(logging.WARNING):
        found = table(tmp_path, text)
    assert found == [
        ("0.png", "Hello, world", ""),
        ("1.png", "1,299.00", ""),
        ("2.png", 'say "hi"', ""),
        ("3.png", "a, b", ""),
    ]
    (told,) = caplog.messages
    assert "labels.csv: texts have a ',' without quotes" in told


@pytest.mark.parametrize(
    ("text", "bad_line", "message"),
    [
        ("file,text,by\n1.png,a,b,me\n2.png,c,me\n", 2, "expected 3 fields, found 4"),
        ("file,text,by\n1.png,a\n2.png,c,me\n", 2, "expected 3 fields, found 2"),
        ("text,file\na, b,1.png\nc,2.png\n", 2, "expected 2 fields, found 3"),
        ('file,text\n1.png,"a",b\n2.png,c\n', 2, "expected 2 fields, found 3"),
        ("file,text\n1.png\n2.png,c\n", 2, "expected 2 fields, found 1"),
        ('file,text\n2.png,c\n1.png,"a" b\n', 3, "doesn't close at its end"),
        ('file,text\n2.png,c\n1.png,"a\n', 3, "doesn't close at its end"),
        ("file,text\n2.png,c\n1.png,\udcff\n", 3, "not UTF-8"),
    ],
)
def test_a_row_of_another_shape_is_a_reject_with_its_line(
    tmp_path: Path, text: str, bad_line: int, message: str
) -> None:
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = items_of(tmp_path)
    assert [(i.id, i.text) for i in found if not i.reason] == [("2.png", "c")]
    (reject,) = [item for item in found if item.reason]
    assert (reject.id, reject.reason) == (f"labels.csv:{bad_line}", "bad_line")
    assert message in reject.message


def test_a_lone_quote_spoils_its_own_line_only(tmp_path: Path) -> None:
    text = (
        'file,text\n0.png,"a\n1.png,b\n2.png,the"ta\n3.png,c\n4.png,"d\n5.png,e\n6.png,f"\n7.png,g'
    )
    assert table(tmp_path, text) == [
        ("labels.csv:2", "", "bad_line"),
        ("1.png", "b", ""),
        ("2.png", 'the"ta', ""),
        ("3.png", "c", ""),
        ("labels.csv:6", "", "bad_line"),
        ("5.png", "e", ""),
        ("labels.csv:8", "", "bad_line"),
        ("7.png", "g", ""),
    ]


def test_a_field_of_several_lines_stays_one(tmp_path: Path) -> None:
    text = 'file,note,text\n0.png,"seen\ntwice, by me",a\n1.png,,"b\nc"\n2.png,,d\n'
    assert table(tmp_path, text) == [("0.png", "a", ""), ("1.png", "b\nc", ""), ("2.png", "d", "")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_and_line_end(tmp_path: Path, delimiter: str, mark: str, end: str) -> None:
    lines = [" File ;by;TEXT", '1.png;me;"a;b"', "2.png;;c", ""]
    text = mark + end.join(lines).replace(";", delimiter)
    assert table(tmp_path, text) == [("1.png", f"a{delimiter}b", ""), ("2.png", "c", "")]


def test_excel_may_name_the_delimiter(tmp_path: Path) -> None:
    assert table(tmp_path, "sep=;\nfile;text\n1.png;a,b\n") == [("1.png", "a,b", "")]


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv"])
def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path, name: str) -> None:
    header = "file,text,Text\n1.png,a,b\n"
    with pytest.raises(DataError, match=r"line 1 of labels\..sv has the column 'text' twice"):
        table(tmp_path, header if name == "labels.csv" else header.replace(",", "\t"), name)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert table(tmp_path, "file,text\n") == []
    assert table(tmp_path, "file,text,\n1.png,a,\n") == [("1.png", "a", "")], "an end delimiter"


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (['1.png\t"say ""hi"""', "2.png\tplain"], ['say "hi"', "plain"]),
        (['1.png\t"a, b"', "2.png\tplain"], ["a, b", "plain"]),
        (['"1.png"\t"Total"', '"2.png"\t"x"'], ["Total", "x"]),
        (['1.png\t"Total"', "2.png\tx"], ['"Total"', "x"]),  # no need of quotes: they're the text's
        (['1.png\t"a, b"', '2.png\t5" nails'], ['"a, b"', '5" nails']),
        (['1.png\t"a', "2.png\tb"], ['"a', "b"]),
        (['1.png\t"a\nb"', '2.png\t"c ""d"""'], ["a\nb", 'c "d"']),
    ],
)
def test_quotes_in_a_list_with_tabs_are_of_the_dialect_found(
    tmp_path: Path, lines: list[str], texts: list[str]
) -> None:
    found = table(tmp_path, "\n".join(lines), "labels.tsv")
    assert found == [(f"{n}.png", text, "") for n, text in enumerate(texts, start=1)]


def test_a_list_with_tabs_may_name_its_columns(tmp_path: Path) -> None:
    text = "text\tfilename\tby\na\t1.png\tme\nb\t2.png\tyou\nc\t3.png\n"
    assert table(tmp_path, text, "labels.tsv") == [
        ("1.png", "a", ""),
        ("2.png", "b", ""),
        ("labels.tsv:4", "", "bad_line"),
    ]
    text = 'filename\ttext\n1.png\t"Total"\n2.png\t5" nails\n'
    assert table(tmp_path, text, "labels.tsv") == [
        ("1.png", '"Total"', ""),
        ("2.png", '5" nails', ""),
    ]
    text = 'filename\ttext\n1.png\t"a ""b"""\n2.png\tc\n'
    assert table(tmp_path, text, "labels.tsv") == [("1.png", 'a "b"', ""), ("2.png", "c", "")]
    asked = options(image_column="pic", text_column="says")
    (tmp_path / "labels.tsv").write_text("says\tpic\nb\t1.png\n")
    assert rows(tmp_path, options=asked) == [("1.png", "b", "")]


@pytest.mark.parametrize(
    "name", ["gt.txt", "rec_gt_train.txt", "rec_gt_label.txt", "train_gt.txt", "val_GT.txt"]
)
def test_lists_with_tabs_under_the_names_of_the_field(tmp_path: Path, name: str) -> None:
    files(tmp_path, {name: "images/b.png\tB, BB\nimages/a.png\tAAA\n"})
    assert open_source(str(tmp_path)).format == "labels"
    assert rows(tmp_path) == [("images/b.png", "B, BB", ""), ("images/a.png", "AAA", "")]
    files(tmp_path, {name: 'b.png, "B\tB"\n'})
    if not name.startswith("rec_"):
        assert open_source(str(tmp_path)).format == "icdar"


def test_several_pictures_of_one_text_as_paddleocr_lists_them(tmp_path: Path) -> None:
    text = '["images/a.png", "images/b.png"]\tAB\nc.png\tC\n["d.png]\tD\n[e].png\tE\n'
    files(tmp_path, {"rec_gt_train.txt": text})
    assert open_source(str(tmp_path)).format == "labels"
    assert rows(tmp_path) == [
        ("images/a.png", "AB", ""), ("images/b.png", "AB", ""), ("c.png", "C", ""),
        ('["d.png]', "D", ""), ("[e].png", "E", ""),
    ]  # fmt: skip


def test_of_several_columns_that_may_be_texts_it_is_said_which_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = "file,label,text\n1.png,7,seven\n2.png,8,eight\n"
    with caplog.at_level(logging.WARNING):
        assert table(tmp_path / "a", lines) == [("1.png", "seven", ""), ("2.png", "eight", "")]
    (told,) = caplog.messages
    assert "the columns 'text', 'label'" in told and "--text-column names another" in told
    caplog.clear()
    asked = options(text_column="label")
    assert rows(tmp_path / "a", options=asked) == [("1.png", "7", ""), ("2.png", "8", "")]
    assert not caplog.messages


def test_back_slashes_are_of_windows_unless_a_file_has_that_name(tmp_path: Path) -> None:
    for name, text in {
        "labels.tsv": "images\\a.png\tA\n.\\b.png\tB\nC:\\c.png\tC\n\\\\host\\d.png\tD\n",
        "labels.csv": "file,text\nimages\\a.png,A\n.\\b.png,B\nC:\\c.png,C\n\\\\host\\d.png,D\n",
        "gt.txt": 'images\\a.png, "A"\n.\\b.png, "B"\nC:\\c.png, "C"\n\\\\host\\d.png, "D"\n',
        "annotation_x.txt": ".\\1\\1_A_0.png 0\n",
    }.items():
        folder = files(tmp_path / name, {name: text})
        found = rows(folder)
        if name.startswith("annotation"):
            assert found == [("1/1_A_0.png", "A", "")]
            continue
        assert found[:2] == [("images/a.png", "A", ""), ("b.png", "B", "")]
        assert [reason for _, _, reason in found[2:]] == ["bad_line", "bad_line"]
    literal = files(tmp_path / "here", {"a\\1.png": b"x", "labels.tsv": "a\\1.png\tA\nb\\2.png\tB"})
    assert rows(literal) == [("a\\1.png", "A", ""), ("b\\2.png", "B", "")]


def test_paths_with_control_characters_and_swapped_columns_are_rejects(tmp_path: Path) -> None:
    text = "images/a\0.png\tx\ntext\timages/1.png\n1.png\tphoto.png\n"
    found = items_of(files(tmp_path, {"labels.tsv": text}))
    assert [item.reason for item in found] == ["bad_line", "bad_line", ""]
    assert "the other way round?" in found[1].message


def test_utf_16_without_a_mark_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("file,text\na.png,x\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="UTF-16"):
        rows(tmp_path)


def test_a_line_with_more_tabs_is_a_reject_that_says_how_to_name_columns(tmp_path: Path) -> None:
    files(tmp_path, {"labels.tsv": "1.png\ta\ten\n2.png\tb\n"})
    found = items_of(tmp_path)
    assert [(item.id, item.text, item.reason) for item in found] == [
        ("labels.tsv:1", "", "bad_line"),
        ("2.png", "b", ""),
    ]
    assert "found 3 fields" in found[0].message and "file<TAB>text" in found[0].message
    files(tmp_path, {"labels.tsv": "file\ttext\tlanguage\n1.png\ta\ten\n"})
    assert rows(tmp_path) == [("1.png", "a", "")]


@pytest.mark.parametrize("name", ["gt.txt", "labels.tsv", "rec_gt_train.txt"])
def test_boxes_of_a_page_are_no_label(tmp_path: Path, name: str) -> None:
    boxes = '[{"transcription": "A", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}]'
    files(tmp_path, {name: f'1.png\t{boxes}\n2.png\t["points"]\n'})
    found = items_of(tmp_path)
    assert [(item.text, item.reason) for item in found] == [("", "bad_line"), ('["points"]', "")]
    assert "rec_gt.txt" in found[0].message


def test_a_csv_without_a_header_is_told_that_one_is_missing(tmp_path: Path) -> None:
    files(tmp_path, {"labels.csv": "1.png,a\n2.png,b\n"})
    with pytest.raises(DataError, match="a line above it must name them"):
        rows(tmp_path)
