"""Dates and amounts as they are written in a locale, such as ``28. November 2026`` or ``1.234,50``.

Forms, names of months and currencies are the Unicode Consortium's (CLDR), by the package ``babel``.
Its no-break and thin spaces become plain ones; a charset without a space gets amounts without.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_territory_currencies
from numpy.random import Generator

from crnn.errors import DataError
from crnn.text.charset import normalise, shown
from pipelines.render.texts import DrawText, TextKind, pick

_FORMS = ("short", "short", "medium", "long", "full")
_FIRST_DAY = datetime.date(1950, 1, 1)
_DAYS = 36_525
_TRIES = 500


def check_locales(names: tuple[str, ...]) -> None:
    """Whether these are locales.

    Raises:
        ValueError: naming the first that is none.
    """
    for name in names:
        try:
            Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            raise ValueError(
                f"locale {name!r} is unknown; expected a language and a country, such as de_DE, "
                "fr_CH or en_GB"
            ) from None


@lru_cache(maxsize=8)
def locale_kinds(names: tuple[str, ...], characters: str, max_length: int) -> dict[str, TextKind]:
    """``local_date`` and ``local_amount`` of some locales, in ``characters`` only.

    Raises:
        DataError: when a locale has no such date or amount, naming what the charset lacks.
    """
    locales = [Locale.parse(name) for name in names]
    kinds = {}
    for kind, write in (("local_date", _date), ("local_amount", _amount)):
        draws = [_within(write, locale, characters, max_length) for locale in locales]
        for draw in draws:
            _check(draw)
        kinds[kind] = TextKind(draw=_one_of(draws), weight=1.0, characters=characters)
    return kinds


def _one_of(draws: list[DrawText]) -> DrawText:
    return lambda rng: draws[int(rng.integers(len(draws)))](rng)


def _check(draw: DrawText) -> None:
    """One text has to be had; what is drawn with doesn't matter."""
    draw(np.random.default_rng(0))


def _date(rng: Generator, locale: Locale) -> str:
    day = _FIRST_DAY + datetime.timedelta(days=int(rng.integers(_DAYS)))
    return format_date(day, pick(rng, _FORMS), locale=locale)


def _amount(rng: Generator, locale: Locale) -> str:
    value = round(10 ** rng.uniform(0, 6), 2)
    currencies = get_territory_currencies(locale.territory) if locale.territory else []
    if currencies and rng.random() < 0.6:
        return format_currency(value, currencies[0], locale=locale)
    return format_decimal(value, format=pick(rng, ("#,##0.00", "0.00", "#,##0")), locale=locale)


def _within(
    write: Callable[[Generator, Locale], str], locale: Locale, characters: str, max_length: int
) -> DrawText:
    """The texts that the charset can write and that aren't too long."""
    allowed = frozenset(characters)
    joined = write is _amount and " " not in allowed

    def draw(rng: Generator) -> str:
        lacking: set[str] = set()
        for _ in range(_TRIES):
            words = normalise(write(rng, locale)).split()
            text = ("" if joined else " ").join(words)
            lacking |= set(text) - allowed
            if len(text) <= max_length and allowed.issuperset(text):
                return text
        raise DataError(
            f"none of {_TRIES} {write.__name__.strip('_')}s of the locale {locale} can be written "
            f"with at most {max_length} characters of the charset, which lacks "
            f"{shown(sorted(lacking))}; name them with --charset, or leave the locale out"
        )

    return draw
