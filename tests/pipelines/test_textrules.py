from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import CharsetError
from crnn.text.charset import CHARSETS
from pipelines.textrules import LabelError, TextRules


@pytest.mark.parametrize(
    ("values", "label", "text"),
    [
        ({}, " cafe\u0301\u00a0", "café"),
        ({"whitespace": "keep"}, " a  b ", " a  b "),
        ({"whitespace": "collapse"}, "\ta \u3000 b\n", "a b"),
        ({"unicode": "nfkc"}, "ﬁ ① Ａ…", "fi 1 A..."),
        ({}, "ﬁ", "ﬁ"),
        ({"punctuation": "fold"}, "“it’s” – 3…", '"it\'s" - 3...'),
        ({"invisible": "drop"}, "\ufeffa\u200bb\u00adc\x07 d", "abc d"),
        ({"case": "lower"}, "ÄİIX", "äiix"),
        ({"case": "lower_tr"}, "DIŞİ", "dışi"),
        ({"case": "upper_tr"}, "dışi", "DIŞİ"),
        ({"case": "upper"}, "straße", "STRASSE"),
        ({"charset": "lower", "case": "lower"}, "ABC", "abc"),
        ({"charset": "digits", "unknown": "drop"}, "a1b2 c", "12"),
        ({"charset": "ascii_space", "unknown": "fold"}, "“Café” 中", None),
        ({"charset": "ascii_space", "unknown": "fold"}, "½", "1/2"),
        ({"charset": "e\u0301"}, "é", None),
        ({"charset": "oz\u0301"}, "zoo", "zoo"),
        ({"charset": "oz\u0301"}, "zo\u0301", None),
        ({"charset": "ascii_space", "unknown": "fold"}, "“Café” ﬁ –", '"Cafe" fi -'),
        ({"charset": "lower", "unknown": "fold"}, "Éa", "ea"),
        ({"charset": "abé", "unknown": "fold"}, "ÉAb", "éab"),
        ({"charset": "digits"}, "1a", None),
    ],
)
def test_what_becomes_of_a_label(values: dict, label: str, text: str | None) -> None:
    rules = TextRules(**values)
    if text is not None:
        assert rules.apply(label) == text
        return
    with pytest.raises(LabelError, match="not among the characters allowed") as told:
        rules.apply(label)
    assert told.value.reason == "unknown_character"


@pytest.mark.parametrize(
    ("values", "label"),
    [({}, " \u3000\n"), ({"invisible": "drop"}, "\u200b"), ({"whitespace": "keep"}, "  "),
     ({"charset": "digits", "unknown": "drop"}, "abc")],
)  # fmt: skip
def test_a_label_without_text_is_empty(values: dict, label: str) -> None:
    with pytest.raises(LabelError, match="has no text") as told:
        TextRules(**values).apply(label)
    assert told.value.reason == "empty_label"


@given(
    st.text(),
    st.fixed_dictionaries(
        {
            "unicode": st.sampled_from(["nfc", "nfkc"]),
            "punctuation": st.sampled_from(["keep", "fold"]),
            "whitespace": st.sampled_from(["keep", "strip", "collapse"]),
            "case": st.sampled_from(["keep", "lower", "upper"]),
            "charset": st.sampled_from(["alnum", "ascii_space", "äöü ß"]),
            "unknown": st.sampled_from(["reject", "drop", "fold"]),
        }
    ),
)
def test_a_text_is_normal_and_within_the_charset_or_there_is_none(label: str, values: dict) -> None:
    rules = TextRules(**values)
    try:
        text = rules.apply(label)
    except LabelError as error:
        assert error.reason in ("empty_label", "unknown_character", "control_character")
        return
    assert text == unicodedata.normalize("NFC", text)
    assert set(text) <= set(CHARSETS.get(values["charset"], values["charset"]))
    assert values["whitespace"] == "keep" or text == text.strip()
    assert rules.apply(text) == text or values["case"] != "keep"


def test_the_recipe_has_the_characters_themselves() -> None:
    rules = TextRules(charset="digits", case="lower")
    rules.apply("1")
    assert rules.recipe() == {
        "unicode": "nfc",
        "punctuation": "keep",
        "invisible": "keep",
        "whitespace": "strip",
        "case": "lower",
        "charset": "0123456789",
        "unknown": "reject",
    }


@pytest.mark.parametrize("mark", [*"\n\r\t\0\x07\x7f\x85\u2028\u2029"])
def test_no_text_has_a_line_break_or_a_control_character(mark: str) -> None:
    label = f"AAA{mark}images/b.png"
    for values in (
        {},
        {"whitespace": "keep"},
        {"charset": "ascii", "unknown": "drop"},
        {"charset": "ascii", "unknown": "fold"},
    ):
        with pytest.raises(LabelError, match=f"U\\+{ord(mark):04X}.*path 'images/b.png'") as told:
            TextRules(**values).apply(label)
        assert told.value.reason == "control_character"
    told_how = "--whitespace collapse" if mark.isspace() else "--invisible drop"
    assert told_how in str(told.value)
    chosen = {"whitespace": "collapse"} if mark.isspace() else {"invisible": "drop"}
    assert TextRules(**chosen).apply(f" a{mark}b{mark}") == "a" + " " * mark.isspace() + "b"


def test_a_charset_that_is_none_is_refused_as_in_training() -> None:
    with pytest.raises(CharsetError, match="more than once"):
        TextRules(charset="aba")


def test_rules_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="--charset"):
        TextRules(unknown="fold")


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("سلام\u200c", "سلام"),
        ("a\u200cb\u200dc", "abc"),
        ("\u200bא\u200cב\u200f", "אב"),
    ],
)
def test_joiners_stay_where_they_show(label: str, text: str) -> None:
    assert TextRules(invisible="drop").apply(label) == text
