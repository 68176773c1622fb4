"""A file of texts becomes the n-gram that ``--ngram`` reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn.decode import CharNgram
from jobs import ngram, read
from tests.jobs.runs import PROJECT, refused, within
from tests.pipelines.evaluation_cases import rendered

STRINGS = str(PROJECT / "bundles" / "strings")


def test_texts_become_an_n_gram_that_the_beam_reads_with(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\ufeffשלום\r\n2048\n\n2048\n2049\n", encoding="utf-8")
    done = within(ngram.main, "texts.txt", "n.json", "--order", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 texts, 9 characters" in done.stdout and "--ngram n.json" in done.stdout
    made = CharNgram.load(str(tmp_path / "n.json"))
    expected = CharNgram.train(["שלום", "2048", "2048", "2049"], order=3)
    assert made.order == 3 and made.vocabulary == expected.vocabulary
    for text in ("2048", "2049", "שלום", "other"):
        assert made.text_log_probability(text) == expected.text_log_probability(text)
    (tmp_path / "a.png").write_bytes(rendered("2048"))
    given = ("--bundle", STRINGS, "--ngram", "n.json", "a.png")
    shown = within(read.main, *given, cwd=tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith("2048"), shown.stderr


def test_an_n_gram_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.txt").write_text("b\n")
    for name in ("a.txt", "b.txt"):
        assert within(ngram.main, name, "n.json", cwd=tmp_path).returncode == 0
    assert CharNgram.load(str(tmp_path / "n.json")).vocabulary == "b"
    refused(within(ngram.main, "a.txt", "b.txt", cwd=tmp_path), 1, "b.txt is there and is not an")
    assert (tmp_path / "b.txt").read_text() == "b\n"


@pytest.mark.parametrize(
    ("content", "arguments", "status", "words"),
    [
        (None, (), 1, "texts.txt is missing"),
        (b"\n \n", (), 1, "has no texts; expected one a line"),
        (b"the\t5\n", (), 1, "without counts"),
        (b"\xff\n", (), 1, "is not UTF-8"),
        (b"a\n", ("--order", "0"), 2, "--order is 0; expected 1 to 10"),
    ],
)
def test_what_makes_no_n_gram_writes_nothing(
    content: bytes | None, arguments: tuple[str, ...], status: int, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "texts.txt").write_bytes(content)
    done = within(ngram.main, "texts.txt", "n.json", *arguments, cwd=tmp_path)
    refused(done, status, words)
    assert not (tmp_path / "n.json").exists()
