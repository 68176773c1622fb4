"""Values of a job's YAML file that aren't what its config has, and those that look like flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.errors import CharsetError
from jobs import cli
from pipelines.prepare.config import PrepareConfig


def parsed(folder: Path, text: str, *flags: str) -> PrepareConfig:
    path = folder / "run.yaml"
    path.write_text(text)
    return cli.parse(PrepareConfig, ["--config", str(path), *flags], description="")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("charset: abc\ncharset: xyz", "the key 'charset' twice"),
        ("overwrite: true\nmax_length: 3\noverwrite: false", "the key 'overwrite' twice"),
        ("charset: [a, b]", "charset is .*a list; expected one value"),
        ("charset: {a: b}", "charset is .*keys and values; expected one value"),
        ("prefix_ids: 'no'", "prefix_ids is 'no'; expected true or false"),
        ("prefix_ids: 0", "prefix_ids is '0'; expected true or false"),
        ("val_share: yes", "val_share is 'yes', which YAML reads as True"),
    ],
)
def test_values_of_another_kind_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsed(tmp_path, text)


def test_texts_may_begin_with_dashes(tmp_path: Path) -> None:
    found = parsed(tmp_path, "charset: -0=1\nkeep_id: -x\nlists: -b.csv")
    assert (found.charset, found.keep_id, found.lists) == ("-0=1", "-x", ("-b.csv",))
    assert parsed(tmp_path, "keep_id: --source", "--keep-text", "a").keep_id == "--source"
    assert parsed(tmp_path, "keep_id: --source", "--keep-id", "a").keep_id == "a"


@pytest.mark.parametrize("text", ["charset: |\n  abc\n", 'charset: "ab\\0"'])
def test_a_line_end_is_no_character_of_a_charset(tmp_path: Path, text: str) -> None:
    with pytest.raises(CharsetError, match="can't occur in a line of text"):
        parsed(tmp_path, text)
    assert parsed(tmp_path, "charset: |-\n  abc\n").charset == "abc"
