"""Texts of the caller's own regular expressions, and charsets from files."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from crnn.errors import DataError
from crnn.text.charset import CHARSETS
from pipelines.render.config import RenderConfig, recipe_of, text_kinds
from pipelines.render.patterns import Pattern, _Dice, load_patterns, patterns_kind
from pipelines.render.texts import draw_text, on_side

ASCII = CHARSETS["ascii"]


def drawn(expression: str, count: int = 200, charset: str = ASCII, most: int = 24) -> list[str]:
    kind = patterns_kind((Pattern(expression),), charset, most)
    rng = np.random.default_rng(3)
    return [kind.draw(rng) for _ in range(count)]


@pytest.mark.parametrize(
    "expression",
    [
        r"[A-Z]{2}-\d{4}", r"INV-\d{6}", r"(?:AB|CD)+x?", r"\w{3,5}@\w+\.(com|de)", r"^No\.\d+$",
        r"[^a-z]{4}", r".{1,8}", r"(\d)\1\1", r"\d+/\d+", r"(?i)abc\d",
    ],
)  # fmt: skip
def test_texts_match_their_pattern(expression: str) -> None:
    texts = drawn(expression)
    assert all(re.fullmatch(expression, text) for text in texts)
    assert all(len(text) <= 24 and set(text) <= set(ASCII) for text in texts)
    assert len(set(texts)) > 1 or expression.startswith("(?i)")
    assert texts == drawn(expression)


def test_open_classes_keep_to_the_charset() -> None:
    assert set("".join(drawn(r".{6}", charset="0123456789"))) == set("0123456789")
    assert set("".join(drawn(r"[^5]{6}", charset="456"))) == {"4", "6"}
    assert set("".join(drawn("[\u0430-\u0433]{3}", charset="\u0430\u0431"))) == {"\u0430", "\u0431"}


def test_what_is_chosen_does_not_depend_on_the_order_of_a_set() -> None:
    chosen = []
    for characters in ("abcdef", "fbdeca"):
        dice = _Dice(5)
        dice.allowed = frozenset("abcde")
        chosen.append([dice.choice(list(characters)) for _ in range(50)])
    assert chosen[0] == chosen[1]
    assert set(chosen[0]) == set("abcde")


@pytest.mark.parametrize(
    ("expression", "charset", "most", "message"),
    [
        (r"a$b", ASCII, 24, r"matches the pattern 'a\$b'.*without lookarounds and anchors within"),
        (r"(?!a)a", ASCII, 24, "without lookarounds"),
        (r"\d{30}", ASCII, 24, "at most 24 characters, the last one has 30; raise --max-length"),
        ("caf\u00e9", ASCII, 24, "charset, which lacks '\u00e9'; name them with --charset"),
        ("[\u00e4\u00f6]{2}", ASCII, 24, "which lacks '\u00e4\u00f6'; name them with --charset"),
        (r" x", ASCII + " ", 24, "no space at the ends"),
    ],
)
def test_patterns_that_can_not_be_drawn(
    expression: str, charset: str, most: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        drawn(expression, 1, charset, most)


def test_a_file_has_patterns_with_weights(tmp_path: Path) -> None:
    file = tmp_path / "patterns.txt"
    file.write_bytes("\ufeffA\\d{3}\t3\r\n\r\nB\\d{3}\n".encode())
    patterns = load_patterns(str(file))
    assert patterns == (Pattern(r"A\d{3}", 3.0), Pattern(r"B\d{3}", 1.0))
    rng = np.random.default_rng(1)
    kind = patterns_kind(patterns, ASCII, 12)
    counts = Counter(kind.draw(rng)[0] for _ in range(2000))
    assert 1400 < counts["A"] < 1600
    for text, message in (
        ("ok\n[a\n", r"line 2: '\[a' isn't a regular expression"),
        ("a\tmany\n", "line 1: the weight is 'many'; expected a number above 0"),
        ("a\t-1\n", "the weight is '-1'"),
        ("\n", "has no patterns"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            load_patterns(str(file))
    with pytest.raises(DataError, match="can't be read"):
        load_patterns(str(tmp_path / "nowhere"))


def test_patterns_are_mixed_with_the_other_kinds_by_weight() -> None:
    ours = (Pattern(r"INV-\d{6}"),)
    for settings, share in (
        ({}, 0.5),
        ({"kinds": {"patterns": 1.0}}, 1.0),
        ({"kinds": {"patterns": 1.0, "date": 3.0}}, 0.25),
    ):
        kinds = text_kinds(RenderConfig(count=1, patterns=ours, **settings))
        rng = np.random.default_rng(2)
        texts = [draw_text(rng, kinds, split="held_out") for _ in range(600)]
        found = sum(bool(re.fullmatch(ours[0].expression, text)) for text in texts) / len(texts)
        assert abs(found - share) < 0.08
        assert all(on_side(text, "held_out") for text in texts)
    english = RenderConfig(count=1, content="english", charset="ascii", patterns=ours)
    assert "patterns" in text_kinds(english)


def test_a_set_without_patterns_has_the_recipe_that_it_had() -> None:
    assert "patterns" not in recipe_of(RenderConfig(count=1))
    assert recipe_of(RenderConfig(count=1, patterns=(Pattern("A1"),)))["patterns"] == [["A1", 1.0]]
