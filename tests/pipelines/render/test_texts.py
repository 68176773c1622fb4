"""Texts: of their kind, within the charset, on their side for good."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnn.errors import DataError
from crnn.text.charset import CHARSETS, Charset
from pipelines.render import english, texts
from pipelines.render.config import RenderConfig, text_kinds
from pipelines.render.english import left_out, writable
from pipelines.render.words import WordList, load_words, parse_words
from tests.pipelines.render.faces import CODES

SEEDS = st.integers(0, 2**32)
WRITABLE = ["ascii", "ascii_space", "alnum", "alnum_cased", "lower", "digits"]
LISTED = load_words()
unhurried = settings(deadline=None)


def english_kinds(charset: str, split: texts.TextSplit = "train") -> dict[str, texts.TextKind]:
    short = WordList(LISTED.words[:3000], LISTED.counts[:3000])
    lines = " " in CHARSETS[charset]
    return english.english_kinds(CHARSETS[charset], short, split, max_length=24, lines=lines)


KINDS = {(charset, split): english_kinds(charset, split) for charset in WRITABLE
         for split in ("train", "held_out", "all")}  # fmt: skip


@unhurried
@given(st.sampled_from(sorted(texts.KINDS)), SEEDS)
def test_every_kind_keeps_to_its_characters_and_length(name: str, seed: int) -> None:
    kind = texts.KINDS[name]
    text = kind.draw(np.random.default_rng(seed))
    assert 1 <= len(text) <= texts.MAX_LENGTH
    assert set(text) <= set(kind.characters) <= set(CODES)
    assert Charset(CODES).text(Charset(CODES).encode(text)) == text


@unhurried
@given(st.sampled_from(sorted(english.NUMBERS)), SEEDS)
def test_what_is_no_word_keeps_to_its_characters(name: str, seed: int) -> None:
    kind = english.NUMBERS[name]
    text = kind.draw(np.random.default_rng(seed))
    assert text
    assert set(text) <= set(kind.characters) <= set(CHARSETS["ascii"])


@unhurried
@given(st.sampled_from(WRITABLE), st.sampled_from(["train", "held_out", "all"]), SEEDS)
def test_english_keeps_to_the_charset_the_length_and_the_side(
    charset: str, split: texts.TextSplit, seed: int
) -> None:
    text = texts.draw_text(np.random.default_rng(seed), KINDS[charset, split], split=split)
    assert set(text) <= set(CHARSETS[charset])
    assert 1 <= len(text) <= 24
    assert text == " ".join(text.split())
    assert texts.on_side(text, split)


def test_default_texts_use_every_character_of_the_default_charset() -> None:
    rng = np.random.default_rng(0)
    kinds = texts.kinds_for()
    seen = {c for _ in range(20_000) for c in texts.draw_text(rng, kinds, split="train")}
    assert seen == set(CODES)


def test_english_uses_all_printable_ascii_in_all_cases() -> None:
    rng, kinds = np.random.default_rng(0), KINDS["ascii", "train"]
    drawn = [texts.draw_text(rng, kinds, split="train") for _ in range(12_000)]
    assert {c for text in drawn for c in text} == set(CHARSETS["ascii"])
    words = [text for text in drawn if text.isalpha() and len(text) > 2]
    shares = [
        sum(map(of_case, words)) / len(words) for of_case in (str.islower, str.istitle, str.isupper)
    ]
    assert min(shares) > 0.15
    assert sum(shares) > 0.95
    for pattern in (r"\$?\d+\.\d\d", r"\d+%", r"\w+@\w+\.[a-z.]+", r"www\.\w+\.[a-z.]+",
                    r"\(\d{3}\)\d{3}-\d{4}", r"\d\d?/\d\d?/\d{4}"):  # fmt: skip
        assert any(re.fullmatch(pattern, text) for text in drawn), pattern


def test_a_word_keeps_its_side_in_every_case_and_with_every_mark() -> None:
    """Each word of letters that a held-out text has is a held-out word, and none of train is."""
    rng = np.random.default_rng(0)
    for split in ("train", "held_out"):
        kinds = english.english_kinds(CHARSETS["ascii"], LISTED, split, max_length=24)
        for _ in range(300):
            text = kinds["word"].draw(rng)
            bare = re.sub(r"^[^A-Za-z]+|('[sS])?[^A-Za-z]*$", "", text)
            assert texts.on_side(bare, split) or texts.on_side(text.strip("*"), split)


def test_lines_have_several_words() -> None:
    rng, kinds = np.random.default_rng(0), KINDS["ascii_space", "train"]
    pieces = [len(kinds["lines"].draw(rng).split()) for _ in range(300)]
    assert max(pieces) >= 4
    assert np.mean([count > 1 for count in pieces]) > 0.6
    with pytest.raises(DataError, match="space"):
        english.english_kinds("abc", LISTED, "all", max_length=9, lines=True)


@unhurried
@given(SEEDS)
def test_dates_exist(seed: int) -> None:
    text = texts.date(np.random.default_rng(seed))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        datetime.date.fromisoformat(text)
    if re.fullmatch(r"\d\d\.\d\d\.\d{4}", text):
        datetime.datetime.strptime(text, "%d.%m.%Y")


def test_the_side_of_a_text_never_changes() -> None:
    """Known answers: another hash would mix up sets that were rendered before."""
    held_out = [text for text in map(str, range(60)) if texts.split_of(text) == "held_out"]
    assert held_out == ["0", "12", "54", "56"]
    share = sum(texts.split_of(str(i)) == "held_out" for i in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)
    assert texts.split_of("Total") == texts.split_of("TOTAL") == texts.split_of("total")


def test_a_single_character_is_on_both_sides_and_no_other_text_is() -> None:
    """Η and H look alike: a training that never has one of them alone reads the other."""
    for character in "ΗH0η":
        assert texts.on_side(character, "train")
        assert texts.on_side(character, "held_out")
    for text in ("54", "Total", "ΗΗ"):
        assert texts.on_side(text, "train") != texts.on_side(text, "held_out")
    words = parse_words("η\t9\nτο\t9\nνα\t9\nκαι\t9\nθα\t9\n", "x")
    for split in ("train", "held_out"):
        kinds = english.english_kinds(CHARSETS["greek"], words, split, max_length=9)
        rng = np.random.default_rng(0)
        assert {kinds["word"].draw(rng) for _ in range(200)} & {"η", "Η"}, split


@unhurried
@given(SEEDS, SEEDS, st.sampled_from(["codes", "digits", "ascii", "alnum"]))
def test_no_text_is_on_both_sides(one: int, other: int, charset: str) -> None:
    kinds = texts.kinds_for(CHARSETS[charset])
    rng_one, rng_other = np.random.default_rng(one), np.random.default_rng(other)
    train = {texts.draw_text(rng_one, kinds, split="train") for _ in range(20)}
    held_out = {texts.draw_text(rng_other, kinds, split="held_out") for _ in range(20)}
    assert not train & held_out


@pytest.mark.parametrize("charset", sorted(CHARSETS))
def test_the_kinds_for_a_charset_write_all_of_it_and_nothing_else(charset: str) -> None:
    kinds = texts.kinds_for(CHARSETS[charset])
    assert {c for k in kinds.values() for c in k.characters} == set(CHARSETS[charset])


@unhurried
@given(SEEDS)
def test_random_strings_show_all_of_their_spaces(seed: int) -> None:
    kind = texts.chars_kind("ab ", min_length=1, max_length=6)
    text = kind.draw(np.random.default_rng(seed))
    assert text == " ".join(text.split())
    assert 1 <= len(text) <= 6


def test_words_come_from_the_list_and_one_too_short_says_so() -> None:
    words = [f"word{i}" for i in range(50)]
    kinds = {"words": texts.words_kind([*words, " word1 ", ""])}
    rng = np.random.default_rng(0)
    drawn = {texts.draw_text(rng, kinds, split="train") for _ in range(1000)}
    assert drawn == {w for w in words if texts.split_of(w) == "train"}
    word = next(w for w in words if texts.split_of(w) == "train")
    with pytest.raises(DataError, match="held_out"):
        texts.draw_text(rng, {"words": texts.words_kind([word])}, split="held_out")
    with pytest.raises(DataError, match="no words"):
        texts.words_kind(["", " "])


def test_a_word_list_is_drawn_by_its_counts() -> None:
    listed = parse_words("\ufeffnine\t900\nones 100\n\nones\t0.5\nbare\n".lstrip("\ufeff"), "x")
    assert dict(zip(listed.words, listed.counts.tolist(), strict=True)) == {
        "nine": 900.0,
        "ones": 100.5,
        "bare": 1.0,
    }
    rng = np.random.default_rng(0)
    draw = listed.drawer(power=1.0)
    share = sum(draw(rng) == "nine" for _ in range(4000)) / 4000
    assert share == pytest.approx(900 / 1001.5, abs=0.02)
    even = listed.drawer(power=0.0)
    assert sum(even(rng) == "bare" for _ in range(3000)) == pytest.approx(1000, abs=100)


def test_words_may_have_spaces_and_any_line_end() -> None:
    listed = parse_words("New York\t5\rLos Angeles 7\r\nSan José\nTo infinity\n", "x")
    assert dict(zip(listed.words, listed.counts.tolist(), strict=True)) == {
        "New York": 5.0,
        "Los Angeles": 7.0,
        "San José": 1.0,
        "To infinity": 1.0,
    }


GERMAN = parse_words("und\t90\nüber 80\nStraße\t60\nNew York\t5\nunverzüglich\t1", "german.tsv")


def test_words_that_are_never_drawn_are_counted_and_named() -> None:
    (lacking,) = left_out(GERMAN, CHARSETS["ascii"], 24)
    assert lacking == (
        "4 of 5 words, 62% of their counts, have characters that the charset lacks and are left "
        "out: über, Straße, New York, unverzüglich; it lacks ' ßü': name them with --charset"
    )
    assert left_out(GERMAN, CHARSETS["ascii_space"] + "ßü", 24) == []
    (long,) = left_out(GERMAN, CHARSETS["ascii_space"] + "ßü", 8)
    assert "1 of 5 words" in long and "longer than 8" in long and "unverzüglich" in long
    assert writable(GERMAN, CHARSETS["ascii"], 24).words == ["und"]


def test_words_in_any_case_stay_within_the_charset() -> None:
    characters = "abcXYZÿß.,:/@"  # neither Ÿ nor the S of SS
    words = parse_words("cab\nÿab\nßa", "x")
    kinds = english.english_kinds(characters, words, "all", max_length=12)
    rng = np.random.default_rng(0)
    for _ in range(500):
        assert set(texts.draw_text(rng, kinds, split="all")) <= set(characters)


@pytest.mark.parametrize(("line", "message"), [("ß\n", "it lacks 'ß'"), ("zz\n", "--texts all")])
def test_a_list_of_words_none_of_which_is_drawn_is_an_error(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "w.tsv").write_text(line, encoding="utf-8")
    side = "held_out" if texts.split_of("zz") == "train" else "train"
    config = RenderConfig(
        count=1, content="english", charset="ascii", word_list=str(tmp_path / "w.tsv"), split=side
    )
    with pytest.raises(DataError, match=message):
        text_kinds(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\0b", "control character"),
        ("a\tmany", "line 1: 'many'"),
        ("a\t-1", "more than 0"),
        ("\n", "no words"),
    ],
)
def test_a_word_list_that_is_none_says_why(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_words(text, "list.tsv")
