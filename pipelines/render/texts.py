"""Which texts are rendered: numbers, dates, times, amounts and codes, or a caller's own words.

A *kind* draws one text from a seeded generator. Every text of several characters belongs to one
side for good: its hash says whether only held-out sets may hold it, so that no two sets made with
different seeds, counts or machines can share it across the sides. A single character is on both
sides: it can't be learnt from other texts (Η alone is H alone, but for how often each occurs).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from numpy.random import Generator

from crnn.errors import DataError
from crnn.text.charset import CHARSETS, DIGITS, normalise

TextSplit = Literal["train", "held_out", "all"]
DrawText = Callable[[Generator], str]

MAX_LENGTH = 12
HELD_OUT_IN = 10
"""One text in this many is held out."""
_TRIES = 2000
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# As real plates and serial numbers do: nothing that reads two ways where context can't tell.
_CAPITALS_NOT_IO = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_UNMISTAKABLE = "ABCDEFGHJKLMNPQRTUVWXYZ2346789"
_CURRENCIES = ("EUR", "USD", "CHF", "GBP", "NOK", "PLN", "JPY", "CAD")
_INVOICE_PREFIXES = ("INV", "RE", "NO", "PO", "ORD", "R", "F", "DOC")
_COUNTRIES = ("DE", "FR", "IT", "NO", "PT", "GB", "ES", "RO", "FI", "SI", "CH", "AT")


@dataclass(frozen=True, kw_only=True)
class TextKind:
    """A way to draw texts: the function, its usual weight, and all characters it may use."""

    draw: DrawText
    weight: float
    characters: str


def split_of(text: str) -> TextSplit:
    """The side that ``text`` belongs to, from the SHA-1 of its capitals alone."""
    digest = hashlib.sha1(normalise(text).upper().encode()).digest()
    return "held_out" if int.from_bytes(digest[:8]) % HELD_OUT_IN == 0 else "train"


def on_side(text: str, split: TextSplit) -> bool:
    """Whether a set of this split may hold ``text``: ``all`` any, and all a single character."""
    return len(text) == 1 or split in ("all", split_of(text))


def digits(rng: Generator) -> str:
    """2–8 digits, any of them first."""
    return pick_chars(rng, DIGITS, int(rng.integers(2, 9)))


def date(rng: Generator) -> str:
    """A day of 1950–2049 in one of eleven all-digit notations, e.g. ``22.11.2026``."""
    year, month = int(rng.integers(1950, 2050)), int(rng.integers(1, 13))
    day = int(rng.integers(1, 32 if month in (1, 3, 5, 7, 8, 10, 12) else 29 if month == 2 else 31))
    short = year % 100
    return pick(
        rng,
        (
            f"{year}-{month:02}-{day:02}",
            f"{day:02}.{month:02}.{year}",
            f"{day}.{month}.{short:02}",
            f"{month:02}/{day:02}/{short:02}",
            f"{month}/{day}/{year}",
            f"{day:02}/{month:02}/{year}",
            f"{day:02}-{month:02}-{year}",
            f"{year}/{month:02}/{day:02}",
            f"{year}{month:02}{day:02}",
            f"{month:02}/{year}",
            f"{day:02}.{month:02}.",
        ),
    )


def time(rng: Generator) -> str:
    """A time of day, e.g. ``09:41``, ``23:05:59`` or ``9:41PM``."""
    hour, minute, second = (int(v) for v in rng.integers(0, (24, 60, 60)))
    half = f"{hour % 12 or 12}:{minute:02}{'AM' if hour < 12 else 'PM'}"
    return pick(
        rng,
        (
            f"{hour:02}:{minute:02}",
            f"{hour:02}:{minute:02}:{second:02}",
            f"{hour}:{minute:02}",
            half,
        ),
    )


def amount(rng: Generator) -> str:
    """An amount below a million, with or without its currency, e.g. ``€1.234,50``."""
    units = int(10 ** rng.uniform(0, 6))
    cents = int(rng.integers(0, 100)) if rng.random() < 0.7 else 0
    english = f"{units:,}.{cents:02}"
    european = english.translate(str.maketrans(",.", ".,"))
    plain = f"{units}.{cents:02}"
    return pick(
        rng,
        (
            english,
            european,
            plain,
            f"${english}",
            f"€{european}",
            f"{european}€",
            f"${units}",
            f"€{units}",
            f"-{plain}",
            f"{units},-",
            f"{pick(rng, _CURRENCIES)}{plain}",
        ),
    )


def code(rng: Generator) -> str:
    """A code in groups of letters and digits, e.g. ``AB-1234``, or free, e.g. ``X7K92Q``."""
    if rng.random() < 0.35:
        return pick_chars(rng, _UNMISTAKABLE, int(rng.integers(4, 10)))
    joint = pick(rng, ("", "-", "-", "/", ".", ":"))
    letters = pick_chars(rng, _CAPITALS if joint else _CAPITALS_NOT_IO, int(rng.integers(1, 5)))
    number = pick_chars(rng, DIGITS, int(rng.integers(2, 7)))
    return joint.join((letters, number) if rng.random() < 0.75 else (number, letters))


def invoice(rng: Generator) -> str:
    """An invoice or order number, e.g. ``INV-004217`` or ``RE2026/081``."""
    prefix = pick(rng, _INVOICE_PREFIXES)
    year = int(rng.integers(1990, 2040))
    number = int(10 ** rng.uniform(0, 5))
    return pick(
        rng,
        (
            f"{prefix}-{number:06}",
            f"{prefix}{number:05}",
            f"{prefix}:{number}",
            f"{prefix}{year}/{number % 1000:03}",
            f"{year}-{number:05}",
            f"{prefix}-{year}-{number % 1000:03}",
        ),
    )


def account(rng: Generator) -> str:
    """The beginning of an IBAN: country, check digits and a bank's number, ``DE8937040044``."""
    return pick(rng, _COUNTRIES) + pick_chars(rng, DIGITS, int(rng.integers(6, 11)))


def plate(rng: Generator) -> str:
    """A vehicle plate in one of five countries' forms, without spaces."""
    two = pick_chars(rng, _CAPITALS_NOT_IO, 2)
    few = pick_chars(rng, _CAPITALS_NOT_IO, int(rng.integers(1, 4)))
    number = str(rng.integers(1, 9999))
    three = f"{rng.integers(0, 1000):03}"
    end = pick_chars(rng, _CAPITALS_NOT_IO, 2)
    forms = (
        f"{few}-{two}{number}",
        f"{two}-{three}-{end}",
        f"{few}{number}",
        f"{two}{number[:2]}{few}",
    )
    return pick(rng, (*forms, f"{three}-{few}"))


def word(rng: Generator) -> str:
    """3–8 capital letters, so that each letter is seen beside every other."""
    return pick_chars(rng, _CAPITALS, int(rng.integers(3, 9)))


KINDS: dict[str, TextKind] = {
    "digits": TextKind(draw=digits, weight=3.0, characters=DIGITS),
    "date": TextKind(draw=date, weight=2.0, characters=DIGITS + "-./"),
    "time": TextKind(draw=time, weight=0.7, characters=DIGITS + ":AMP"),
    "amount": TextKind(
        draw=amount, weight=2.0, characters=DIGITS + "$€.,-" + "".join(set("".join(_CURRENCIES)))
    ),
    "code": TextKind(draw=code, weight=2.0, characters=DIGITS + _CAPITALS + "-/.:"),
    "invoice": TextKind(draw=invoice, weight=1.0, characters=DIGITS + _CAPITALS + "-/:"),
    "account": TextKind(draw=account, weight=0.5, characters=DIGITS + _CAPITALS),
    "plate": TextKind(draw=plate, weight=0.8, characters=DIGITS + _CAPITALS + "-"),
    "word": TextKind(draw=word, weight=0.5, characters=_CAPITALS),
}


def chars_kind(characters: str, *, min_length: int = 2, max_length: int = MAX_LENGTH) -> TextKind:
    """Uniform random strings over ``characters``, for charsets that no other kind knows.

    A space is never first, last or doubled: at a picture's edge it would be invisible.
    """
    visible = [c for c in characters if not c.isspace()]
    if not visible:
        raise ValueError(f"characters are {characters!r}; expected at least one that can be seen")
    if not 1 <= min_length <= max_length:
        raise ValueError(f"lengths are {min_length}–{max_length}; expected 1 ≤ min ≤ max")

    def draw(rng: Generator) -> str:
        length = int(rng.integers(min_length, max_length + 1))
        text = [characters[i] for i in rng.integers(len(characters), size=length)]
        for i, character in enumerate(text):
            edge = i in (0, length - 1) or text[i - 1].isspace()
            if character.isspace() and edge:
                text[i] = visible[int(rng.integers(len(visible)))]
        return normalise("".join(text))

    return TextKind(draw=draw, weight=1.0, characters=characters)


def words_kind(words: Sequence[str]) -> TextKind:
    """Words of a list, each as likely; the texts are stripped and in NFC, empty ones dropped.

    Raises:
        DataError: when no word is left.
    """
    kept = tuple(dict.fromkeys(w for w in (normalise(word.strip()) for word in words) if w))
    if not kept:
        raise DataError("the word list has no words; expected one word a line")
    return TextKind(
        draw=lambda rng: kept[int(rng.integers(len(kept)))],
        weight=1.0,
        characters="".join(sorted(set("".join(kept)))),
    )


def kinds_for(
    characters: str = CHARSETS["codes"], *, min_length: int = 2, max_length: int = MAX_LENGTH
) -> dict[str, TextKind]:
    """The registered kinds that use only ``characters``, by name.

    Where these leave a character out, random strings (``chars``) of the given lengths are added,
    as likely as all of the others together.
    """
    allowed = set(characters)
    kinds = {name: kind for name, kind in KINDS.items() if set(kind.characters) <= allowed}
    if allowed != {c for kind in kinds.values() for c in kind.characters}:
        weight = sum(kind.weight for kind in kinds.values()) or 1.0
        chars = chars_kind(characters, min_length=min_length, max_length=max_length)
        kinds["chars"] = replace(chars, weight=weight)
    return kinds


def draw_text(rng: Generator, kinds: Mapping[str, TextKind], *, split: TextSplit) -> str:
    """One text of ``split``: a kind is drawn by weight, then texts of it until one belongs there.

    Raises:
        DataError: when the kind seems to have no text on that side, e.g. a very short word list.
    """
    name = _pick_weighted(rng, kinds)
    for _ in range(_TRIES):
        text = kinds[name].draw(rng)
        if on_side(text, split):
            return text
    raise DataError(
        f"{_TRIES} texts of kind {name!r} were drawn and none belongs to the {split!r} side "
        f"(one distinct text in {HELD_OUT_IN} is held out); give it more distinct texts"
    )


def weighted(kinds: Mapping[str, TextKind], weights: Mapping[str, float]) -> dict[str, TextKind]:
    """Only those of ``kinds`` that ``weights`` names, with these weights instead of their own.

    Raises:
        ValueError: for an unknown name, a negative weight, or when all are 0.
    """
    unknown = sorted(set(weights) - set(kinds))
    if unknown:
        raise ValueError(f"unknown kinds {unknown}; expected some of {sorted(kinds)}")
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError(f"weights are {dict(weights)}; expected none negative and one above 0")
    return {name: replace(kinds[name], weight=weight) for name, weight in weights.items()}


def _pick_weighted(rng: Generator, kinds: Mapping[str, TextKind]) -> str:
    point = rng.random() * sum(kind.weight for kind in kinds.values())
    for name, kind in kinds.items():
        point -= kind.weight
        if point < 0:
            return name
    return max(kinds, key=lambda name: kinds[name].weight)


def pick(rng: Generator, choices: Sequence[str]) -> str:
    """One of ``choices``, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def pick_chars(rng: Generator, characters: str, length: int) -> str:
    """A random string over ``characters``."""
    return "".join([characters[i] for i in rng.integers(len(characters), size=length)])
