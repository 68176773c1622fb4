from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inspection.labels import differing, troubles
from pipelines.inspection.look_alikes import look_alikes, mixed_scripts, plain_form, twins


def codes(text: str) -> list[str]:
    return [trouble.code for trouble in troubles(text)]


@pytest.mark.parametrize(
    "text",
    ["abc", "Total: 1,50 €", "naïve", "straße", "Москва", "ΑΘΗΝΑ", "日本カード", "T恤", "서울 Cafe",
     "می\u200cخواهم", "क्\u200dष", "9.9%", "a b c", "©2026"],
)  # fmt: skip
def test_ordinary_labels_have_no_trouble(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["empty_label"]),
        (" ", ["whitespace_label"]),
        ("\u3000 \t", ["whitespace_label"]),
        ("\u200b", ["whitespace_label"]),
        (" a", ["edge_space"]),
        ("a\u3000", ["edge_space", "odd_space"]),
        ("a  b", ["double_space"]),
        ("a\u00a0b", ["odd_space"]),
        ("a\tb", ["control_character"]),
        ("images/b.png", ["path_label"]),
        ("AAA images\\b.JPEG", ["path_label"]),
        ("a\u0085b", ["control_character"]),
        ("a\u200bb", ["invisible_character"]),
        ("\ufeffab", ["invisible_character"]),
        ("a\u202eb", ["invisible_character"]),
        ("a\u200db", ["invisible_character"]),
        ("a\u3164b", ["invisible_character"]),
        ("a\ufe0f", ["invisible_character"]),
        ("a\ufffd", ["replacement_character"]),
        ("a\ue000b", ["replacement_character"]),
        ("cafe\u0301", ["not_nfc"]),
        ("cafÃ©", ["mojibake"]),
        ("Cafï¿½", ["variant_character", "replacement_character"]),
        ("P\u0430ris", ["look_alike"]),
        ("\u041cockba", ["look_alike"]),
        ("M\u043eсква", ["look_alike"]),
        ("10k\u03a9", ["mixed_scripts"]),
        ("\u201ca\u201d", ["variant_character"]),
        ("\uff21\uff11", ["variant_character"]),
        ("\ufb01n", ["variant_character"]),
    ],
)
def test_each_trouble_is_named(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("לארשי לש הנידמ", ""),
        ("הנידמ םולש", "םולש"),
        ("شارع المدرسة", ""),
        ("ةسردملا عراش", "ةسردملا"),
    ],
)
def test_labels_in_visual_order_are_named(text: str, word: str) -> None:
    found = {trouble.code: trouble.message for trouble in troubles(text)}
    assert list(found) == (["visual_order"] if word else [])
    assert all(word in message for message in found.values())


def test_messages_name_the_code_point() -> None:
    (found,) = troubles("P\u0430ris")
    assert "U+0430 CYRILLIC SMALL LETTER A looks like Latin 'a'" in found.message
    (found,) = troubles("cafÃ©")
    assert "'café'" in found.message


@given(st.text(max_size=12))
def test_any_text_can_be_looked_at(text: str) -> None:
    found = codes(text)
    assert len(found) == len(set(found))
    assert ("not_nfc" in found) <= (unicodedata.normalize("NFC", text) != text)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_plain_ascii_without_spaces_is_never_in_trouble(text: str) -> None:
    assert codes(text) == []


def test_look_alikes_are_unicode_s() -> None:
    assert "a" in look_alikes("\u0430")
    assert "p" in look_alikes("\u0440")
    assert look_alikes("z").isdisjoint("abc")
    assert plain_form("\u2019") == "'"
    assert plain_form("\uff21") == "A"
    assert plain_form("A") == plain_form(" ") == plain_form("\u00a0") == ""


def test_a_word_s_main_script_decides() -> None:
    latin, cyrillic = mixed_scripts("p\u0430ssword"), mixed_scripts("Mосква")
    assert latin is not None
    assert "CYRILLIC" in latin.message
    assert cyrillic is not None
    assert "LATIN CAPITAL LETTER M looks like Cyrillic" in cyrillic.message
    assert mixed_scripts("password") is None


def test_twins_are_pairs_of_which_the_rarer_is_named() -> None:
    counts = {"a": 50, "\u0430": 2, "'": 3, "\u2019": 9, "-": 4, "l": 7, "1": 7, "0": 5, "O": 5,
              "\uff21": 1, "\ufb01": 1, "f": 3}  # fmt: skip
    assert twins(counts) == [("'", "\u2019"), ("\u0430", "a")]
    assert twins({**counts, "A": 2})[-1] == ("\uff21", "A")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("a b", "ab"), "differ only in spaces"),
        (("Ab", "aB"), "differ only in case"),
        (("A b", "ab"), "differ only in case and spaces"),
        (("a.b", "AB"), "differ only in punctuation, case or spaces"),
        (("ab", "ac"), ""),
        (("ab", "ab"), ""),
        (("é", "e\u0301"), ""),
    ],
)
def test_what_texts_differ_in(texts: tuple[str, str], expected: str) -> None:
    assert differing(texts) == expected


def test_a_joiner_that_shows_is_no_trouble_and_any_other_is() -> None:
    assert troubles("می\u200cخواهم") == []
    for text in ("سلام\u200c", "\u200dسلام", "سلام \u200cab"):
        assert [trouble.code for trouble in troubles(text)] == ["invisible_character"]
