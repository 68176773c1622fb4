"""Logical order ↔ picture order of Hebrew, Arabic and Persian, alone and with numbers and Latin."""

from __future__ import annotations

import pytest
from bidi import get_display
from hypothesis import given
from hypothesis import strategies as st

from crnn.errors import CharsetError
from crnn.text.charset import Charset, normalise
from crnn.text.order import TEXT_ORDERS, TextOrder, backwards, logical, mirrors, visual

BRACKETS = mirrors("()[]{}<>«»")
HEBREW, ARABIC, PERSIAN = "אבגדהוזשת", "ابتثجحخدعغ", "پچژگکیآ"
DIGITS = "0123456789"
PUNCTUATION = " .,:-/%()"

KNOWN = [
    # logical, as it stands from the left
    ("שלום", "םולש"),
    ("مرحبا", "ابحرم"),
    ("12 שלום", "םולש 12"),
    ("שלום 12", "12 םולש"),
    ("טל. 03-1234567", "03-1234567 .לט"),
    ("אב 5%", "5% בא"),
    ("تاريخ 12/05/2020", "12/05/2020 خيرات"),
    ("تاريخ 12-05-2020", "2020-05-12 خيرات"),  # rule W2: the numbers are Arabic ones there
    ("قیمت ۱۲٬۵۰۰ تومان", "ناموت ۱۲٬۵۰۰ تمیق"),
    ("שלום (abc)", "(abc) םולש"),  # brackets are seen as they are drawn
    ("שלום HTML (5)", "HTML (5) םולש"),  # rule N0
    ("(א)", "(א)"),
    ("the word שלום means peace", "the word םולש means peace"),
    ("هاتف iPhone جديد", "ديدج iPhone فتاه"),
    ("שָׁלוֹם 12", "12 םוֹלשָׁ"),  # a mark stays behind its letter
    ("می\u200cخواهم", "مهاوخ\u200cیم"),
    ("abc 12-34, (x)", "abc 12-34, (x)"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "seen"), [(normalise(a), normalise(b)) for a, b in KNOWN])
def test_known_lines_turn_and_turn_back(text: str, seen: str) -> None:
    found = visual(text, "auto", BRACKETS)
    assert found.text == seen
    assert sorted(found.places) == list(range(len(text)))
    back = logical(seen, "auto", BRACKETS)
    assert back.text == text
    assert sorted(back.places) == list(range(len(text)))


BACKWARDS = [
    ("מדינה של ישראל, ב-2020", ""),
    ("2020-ב ,לארשי לש הנידמ", ""),  # has no letter that tells
    ("םולש", "םולש"),
    ("12 (םולש) abc", "םולש"),
    ("הָאָרֶץ", ""),
    ("ץֶרָאָה", "ץֶרָאָה"),
    ("ָאב", "ָאב"),  # a mark before its letter
    ("هذه مدرسة كبيرة على", ""),
    ("ىلع ةريبك ةسردم هذه", "ىلع"),
    ("ة ى", ""),  # single letters
    ("ءامنوا", ""),
    ("\ufee3\ufeb4\ufeae\ufea3", ""),  # initial, medial, final, initial form
    ("\ufeae\ufeb4\ufee3", "\ufeae\ufeb4\ufee3"),
    ("plain", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "word"), BACKWARDS)
def test_words_that_begin_as_words_only_end(text: str, word: str) -> None:
    assert backwards(text) == word


NUMBERS = st.from_regex(
    r"[0-9]{1,3}([.,:/-][0-9]{1,2}){0,2}%?|[۰-۹]{1,3}(٫[۰-۹]{2})?", fullmatch=True
)


def lines(letters: str) -> st.SearchStrategy[str]:
    """Words, numbers and marks as people write them."""
    word = st.text(letters, min_size=1, max_size=5)
    part = st.one_of(word, word, NUMBERS, word.map("({})".format), word.map("{},".format))
    end = st.sampled_from(["", ".", "!", ":", "?"])
    return st.builds(lambda parts, end: " ".join(parts) + end, st.lists(part, min_size=1), end)


@given(lines(HEBREW) | lines(ARABIC + PERSIAN))
def test_without_latin_letters_turning_back_is_the_inverse(text: str) -> None:
    assert logical(visual(text, "auto", BRACKETS).text, "auto", BRACKETS).text == text


@given(st.lists(st.sampled_from([*HEBREW, "שָׁ", "וֹ", "لَّ", "خ", *"12 ,"]), max_size=12).map("".join))
def test_marks_go_with_their_letters(text: str) -> None:
    text = normalise(text)
    assert logical(visual(text, "auto", BRACKETS).text, "auto", BRACKETS).text == text


@given(
    st.text(HEBREW + ARABIC + PERSIAN + DIGITS + "abcXYZ ", max_size=16),
    st.sampled_from(TEXT_ORDERS),
)
def test_what_is_read_of_a_mixed_line_looks_as_the_line_does(text: str, order: TextOrder) -> None:
    seen = visual(text, order, BRACKETS)
    assert visual(logical(seen.text, order, BRACKETS).text, order, BRACKETS).text == seen.text


@given(st.text(HEBREW + ARABIC + DIGITS + PUNCTUATION + "abcXYZ"))
def test_the_order_is_the_library_s(text: str) -> None:
    assert visual(text, "auto", {}).text == get_display(text)


@given(st.text("abcXYZéßЖ" + DIGITS + PUNCTUATION))
def test_a_text_without_right_to_left_letters_is_left_as_it_is(text: str) -> None:
    charset = Charset(f"abcXYZéßЖ{DIGITS}{PUNCTUATION}{HEBREW}")
    assert charset.is_level(text)
    assert charset.seen(charset.encode(text)) == charset.text(charset.encode(text)) == text


def test_a_line_that_looks_like_another_is_read_as_one_of_them() -> None:
    charset = Charset("אב abc12")
    assert charset.text(charset.encode("אב 12 abc")) == "אב abc 12"
    assert charset.looks_alike("אב 12 abc", "אב abc 12")
    assert charset.looks_alike("abc אב", "אב abc")
    assert not charset.looks_alike("אב abc 12", "אב abc 21")
    pages = Charset("אב abc12", "rtl")
    assert pages.text(pages.encode("abc אב")) == "abc אב"
    assert not pages.looks_alike("abc אב", "אב abc")


def test_class_ids_follow_the_picture_from_the_left() -> None:
    charset = Charset("אבגד12 ")
    assert charset.encode("אבג 12") == charset.ids_of("12 גבא")
    assert charset.text(charset.ids_of("12 גבא")) == "אבג 12"
    assert Charset("אבגד12 ", "logical").encode("אבג 12") == charset.ids_of("אבג 12")


def test_brackets_are_mirrored_where_the_charset_has_both() -> None:
    both, one = Charset("אב()"), Charset("אב(")
    assert both.encode("א(ב)") == both.ids_of("(ב)א")
    assert one.encode("א(ב") == one.ids_of("ב(א")
    assert one.text(one.encode("א(ב")) == "א(ב" and both.text(both.encode("א(ב)")) == "א(ב)"


def test_a_charset_names_the_orders_there_are() -> None:
    with pytest.raises(CharsetError, match="'sideways'; expected one of") as raised:
        Charset.named("digits", "sideways")  # type: ignore[arg-type]
    assert "auto" in str(raised.value)


def test_a_very_long_line_is_no_error() -> None:
    text = "א1" * 3000
    assert visual(text, "auto", BRACKETS).text == text
