"""Dates and amounts as a locale writes them, within the charset."""

from __future__ import annotations

import re

import numpy as np
import pytest

from crnn.errors import DataError
from crnn.text.charset import CHARSETS
from pipelines.render.config import RenderConfig, recipe_of, text_kinds
from pipelines.render.locales import check_locales, locale_kinds

LATIN = CHARSETS["ascii_space"] + "\u20ac\u00e4\u00f6\u00fc\u00e9\u00fb\u017d"


def drawn(locale: str, kind: str, charset: str = LATIN, most: int = 40) -> list[str]:
    rng = np.random.default_rng(4)
    draw = locale_kinds((locale,), charset, most)[kind].draw
    return [draw(rng) for _ in range(300)]


def test_dates_and_amounts_are_the_locale_s() -> None:
    german = drawn("de_DE", "local_date")
    assert any(re.fullmatch(r"\d\d\.\d\d\.\d\d", text) for text in german)
    assert any(re.fullmatch(r"\d{1,2}\. M\u00e4rz \d{4}", text) for text in german)
    assert any(re.fullmatch(r"[A-Z][a-z]+tag, \d{1,2}\. \w+ \d{4}", text) for text in german)
    amounts = drawn("de_DE", "local_amount")
    assert any(re.fullmatch(r"\d{1,3}\.\d{3},\d\d \u20ac", text) for text in amounts)
    assert any(re.fullmatch(r"\u00a3\d{1,3},\d{3}\.\d\d", text)
               for text in drawn("en_GB", "local_amount", LATIN + "\u00a3"))  # fmt: skip
    french = drawn("fr_FR", "local_amount")
    assert any(re.fullmatch(r"\d{1,3} \d{3},\d\d \u20ac", text) for text in french)
    assert german == drawn("de_DE", "local_date")


def test_they_keep_to_the_charset_and_the_length() -> None:
    for kind in ("local_date", "local_amount"):
        texts = drawn("de_DE", kind, CHARSETS["codes"], 12)
        assert all(len(t) <= 12 and set(t) <= set(CHARSETS["codes"]) for t in texts)
    joined = drawn("de_DE", "local_amount", CHARSETS["codes"], 12)
    assert any(text.endswith(",00\u20ac") or "\u20ac" in text for text in joined)


def test_they_are_mixed_with_the_others_and_part_of_the_recipe() -> None:
    config = RenderConfig(count=1, content="english", charset="ascii_space", locales=("de_DE",),
                          max_length=40)  # fmt: skip
    kinds = text_kinds(config)
    others = sum(k.weight for name, k in kinds.items() if not name.startswith("local"))
    assert kinds["local_date"].weight == kinds["local_amount"].weight == others / 4
    assert recipe_of(config)["locales"] == ["de_DE"]
    assert "locales" not in recipe_of(RenderConfig(count=1))


def test_what_is_no_locale_or_can_not_be_written() -> None:
    for name in ("xx_YY", "german", ""):
        with pytest.raises(ValueError, match=f"locale '{name}' is unknown; expected"):
            check_locales((name,))
    with pytest.raises(DataError, match=r"none of 500 dates of the locale de_DE .*lacks '.*0"):
        locale_kinds(("de_DE",), "abc", 24)
