"""Words of other languages: which are drawn, in which letters and cases, and with which marks."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from crnn.errors import DataError
from crnn.text.charset import CHARSETS, Charset
from pipelines.render.config import RenderConfig, check_inputs, recipe_of, text_kinds
from pipelines.render.english import english_kinds, pick_weighted
from pipelines.render.words import load_words


def texts(charset: str, *languages: str, count: int = 1500, lines: bool = False) -> list[str]:
    """As the renderer draws them."""
    characters = Charset.named(charset).characters
    kinds = english_kinds(
        characters, load_words(languages=languages), "all", max_length=48, lines=lines
    )
    rng = np.random.default_rng(5)
    weights = {name: kind.weight for name, kind in kinds.items()}
    found = [kinds[pick_weighted(rng, weights)].draw(rng) for _ in range(count)]
    assert set("".join(found)) <= set(characters)
    return found


def test_each_language_brings_its_frequent_words_as_often_as_the_others() -> None:
    both = load_words(languages=("de", "pl"))
    share = dict(zip(both.words, both.counts / both.counts.sum(), strict=True))
    alone = load_words(languages=("pl",))
    polish = dict(zip(alone.words, alone.counts / alone.counts.sum(), strict=True))
    assert {"straße", "über", "się", "również"} <= share.keys()
    assert share["się"] == pytest.approx(polish["się"] / 2, rel=0.01)
    assert not any(map(str.isnumeric, "".join(both.words)))
    assert both.counts.min() == pytest.approx(1)


def test_words_are_spelled_as_they_are_written() -> None:
    """The package has them without case: its Greek has no final sigma, its German no ß."""
    turkish = set(load_words(languages=("tr",)).words)
    assert {"için", "İÇİN", "ışık"} <= turkish and "IÇIN" not in turkish
    greek = set(load_words(languages=("el",)).words)
    assert "της" in greek and not any(word.endswith("σ") for word in greek)
    german = set(load_words(languages=("de",)).words)
    assert {"größer", "außen", "dass", "wasser", "muss"} <= german and "grösser" not in german


def test_a_language_of_three_times_the_weight_is_drawn_three_times_as_often() -> None:
    greek = set(load_words(languages=("el",)).words)
    shares = []
    for weighted in ("el", "el:3"):
        draw = load_words(languages=(weighted, "ru")).drawer()
        rng = np.random.default_rng(0)
        shares.append(np.mean([draw(rng) in greek for _ in range(8000)]))
    odds = [share / (1 - share) for share in shares]
    assert odds[1] == pytest.approx(3 * odds[0], rel=0.15)


@pytest.mark.parametrize(
    ("charset", "languages", "wanted"),
    [
        ("latin", ("de", "fr"), "äßéèÄÉ„«“…"),
        ("greek", ("el",), "αλήθεΣΩΆ«"),
        ("cyrillic", ("uk",), "жіїщЖЩ№«"),
        ("".join(c for c in CHARSETS["cyrillic"] if ord(c) > 127), ("uk",), "жЖ"),
    ],
)
def test_texts_have_letters_capitals_and_marks(
    charset: str, languages: tuple[str, ...], wanted: str
) -> None:
    drawn = set("".join(texts(charset, *languages, count=4000)))
    assert set(wanted) <= drawn
    assert len(drawn & set(Charset.named(charset).characters)) > 60


def test_lines_of_words() -> None:
    found = texts("latin", "fr", "en", lines=True)
    assert sum(" " in line for line in found) > 1000


@pytest.mark.parametrize(
    ("charset", "digest"),
    [
        ("ascii", "3afd13690acdad0f"),
        ("lower", "a99a31979aa26439"),
        ("codes", "a22c7e28d7765c75"),  # which has a mark of other languages, the euro's
    ],
)
def test_without_languages_texts_are_what_they_were(charset: str, digest: str) -> None:
    """As drawn before there were any, so that a set begun then goes on with the same texts."""
    drawn = "\n".join(texts(charset, count=2000))
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == digest
    words = RenderConfig(count=1, content="english", charset=charset)
    assert "languages" not in recipe_of(words)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match=r"--languages has 'xx'; there are .*de.*tr"):
        load_words(languages=("de", "xx"))
    for weight in ("0", "-1", "x", ""):
        with pytest.raises(DataError, match=f"has 'de:{weight}'; expected a language or"):
            load_words(languages=(f"de:{weight}",))
    with pytest.raises(ValueError, match="both a word_list and languages"):
        RenderConfig(count=1, content="english", word_list="w.tsv", languages=("de",))
    with pytest.raises(ValueError, match="go with content 'english'"):
        RenderConfig(count=1, content="codes", languages=("de",))
    ukrainian = RenderConfig(
        count=1, content="english", charset="ascii", languages=("uk",), split="all"
    )
    digits = RenderConfig(count=1, content="english", charset="digits", languages=("uk",))
    assert "word" in text_kinds(ukrainian)  # some are written in Latin letters
    with pytest.raises(DataError, match="none of the words of the languages uk can be drawn"):
        check_inputs(digits)
