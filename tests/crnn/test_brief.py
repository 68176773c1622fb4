"""Values in messages: short ones whole, of long ones what tells them apart."""

from __future__ import annotations

from crnn.brief import brief, change

MANY = "".join(map(chr, range(0x4E00, 0x4E00 + 6_623)))


def test_a_short_value_stands_there_whole() -> None:
    assert brief(["a", 1]) == "['a', 1]"
    assert change("ab", None) == ("'ab'", "None")


def test_a_long_one_is_cut_and_counted() -> None:
    told = brief(MANY)
    assert told.startswith(f"'{MANY[:100]}") and len(told) < 200
    assert told.endswith(f"and {6_623 + 2 - 160:,} characters more")


def test_of_two_long_ones_the_difference_is_told() -> None:
    before, after = change(MANY, f"{MANY[:3000]}!{MANY[3000:]}")
    assert "!" in after and "!" not in before
    assert MANY[2990:3000] in before and MANY[2990:3000] in after
    assert len(before) < 220 and len(after) < 220
