"""Charset: known answers, and decode∘encode as the identity for any text over the set."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import CharsetError
from crnn.text.charset import BLANK_ID, CHARSETS, Charset, normalise, shown
from crnn.text.order import turning

LOWER = Charset.named("lower")
UNICODE_TEXTS = st.text(st.characters(codec="utf-8")).map(normalise)


def path_of(ids: list[int]) -> list[int]:
    """A CTC path that collapses to ``ids``: each one held for two steps between blanks."""
    return [BLANK_ID, *(step for i in ids for step in (i, i, BLANK_ID))]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([2, 2, 0, 0, 0, 15, 15, 0, 15, 11], "book"),
        ([0, 0, 2, 15, 15, 15, 15, 0, 0, 11], "bok"),
        ([0, 0, 0], ""),
        ([], ""),
    ],
)
def test_collapse_gives_the_known_answers(path: list[int], text: str) -> None:
    assert LOWER.collapse(path) == text


def test_encode_gives_the_known_answer() -> None:
    assert LOWER.encode("cat") == [3, 1, 20]
    assert LOWER.encode("") == []


@given(st.text(st.sampled_from("-ab 01")))
def test_decode_after_encode_is_the_identity_with_dash_and_space(text: str) -> None:
    charset = Charset("-ab 01")
    assert charset.text(charset.encode(text)) == text
    assert charset.collapse(path_of(charset.encode(text))) == text


@given(st.lists(UNICODE_TEXTS.filter(bool), min_size=1, max_size=5))
def test_decode_after_encode_is_the_identity_for_unicode(texts: list[str]) -> None:
    try:
        charset = Charset.of_texts(texts)
    except CharsetError:  # NFC of a text may hold a code point that is not NFC on its own
        assert any(normalise(c) != c for text in texts for c in text)
        return
    for text in texts:
        read = charset.collapse(path_of(charset.encode(text)))
        # Lines of both directions may look the same in a picture: docs/right-to-left.md.
        assert charset.encode(read) == charset.encode(text)
        assert read == text or turning(text)
        assert BLANK_ID not in charset.encode(text)


def test_decomposed_text_encodes_as_its_composed_form() -> None:
    charset = Charset("eé")
    assert charset.encode("e\u0301é") == charset.encode("éé") == [2, 2]
    assert charset.unknown(unicodedata.normalize("NFD", "é")) == []


@pytest.mark.parametrize("name", CHARSETS)
def test_registered_charsets_have_distinct_characters_and_one_class_more(name: str) -> None:
    charset = Charset.named(name)
    assert charset.num_classes == len(set(charset.characters)) + 1


def test_named_falls_back_to_the_characters_themselves() -> None:
    assert Charset.named("xyz").characters == "xyz"


@pytest.mark.parametrize(
    ("characters", "named"), [("", "empty"), ("aba", "'a'"), ("e\u0344", "NFC")]
)
def test_what_is_no_charset_is_refused(characters: str, named: str) -> None:
    with pytest.raises(CharsetError, match=named):
        Charset(characters)


def test_unknown_characters_are_named_once_in_order() -> None:
    assert LOWER.unknown("a1b!1") == ["1", "!"]
    with pytest.raises(CharsetError, match="'1', '!'"):
        LOWER.encode("a1b!1")


def test_thousands_of_characters_are_counted_not_printed() -> None:
    many = "".join(chr(0x4E00 + n) for n in range(6623))
    assert len(shown(many)) < 100
    assert shown(many).endswith("and 6,563 more")
    assert shown("ab") == "'ab'"
    with pytest.raises(CharsetError) as told:
        Charset(many * 2)
    assert len(str(told.value)) < 200


def test_characters_are_a_set_and_never_join() -> None:
    charset = Charset.named("oz\u0301")
    assert charset.ids_of("z\u0301") == [2, 3]
    assert charset.unknown("zo\u0301") == ["ó"]
    assert charset.encode("zoo") == [2, 1, 1]


@pytest.mark.parametrize(
    ("characters", "text", "found"),
    [
        ("abcß", "aCb", "acb"),
        ("ABC", "abC", "ABC"),
        ("aAb", "aAB", "aAb"),
        ("ab", "abc", None),
        ("i", "İ", None),  # its small letter is two characters
        ("ß", "ẞ", "ß"),
        ("abc", "", ""),
    ],
)
def test_letters_are_looked_for_in_the_other_case(
    characters: str, text: str, found: str | None
) -> None:
    assert Charset(characters).in_known_case(text) == found
