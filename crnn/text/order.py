"""Logical order ↔ picture order: right-to-left text as it is stored, and as it stands in a picture.

Texts are stored in the order in which they are read (logical order). CTC reads a picture's columns
from the left, so that targets of Hebrew, Arabic or Persian follow the order of the picture. This
module turns one into the other by the Unicode Bidirectional Algorithm (UAX #9, by python-bidi);
``crnn.text.charset`` is its one caller on the way to and from class ids.

A combining mark stays behind its letter in both orders. Several logical texts may look the same
("abc 12" and "12 abc" after a Hebrew word): of these ``logical`` gives one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, product
from typing import Literal, NamedTuple

from bidi import get_display
from bidi.mirror import MIRRORED

TextOrder = Literal["auto", "rtl", "ltr", "logical"]
"""How lines with right-to-left letters run: ``rtl`` or ``ltr`` as the paragraph that they come
from, ``auto`` as the first letter does, ``logical`` not turned at all."""
TEXT_ORDERS: tuple[TextOrder, ...] = ("auto", "rtl", "ltr", "logical")

_STRONG = {"L": "L", "R": "R", "AL": "R"}
_NUMBERS = frozenset({"EN", "AN"})
_TURNING = frozenset({"R", "AL", "AN"})
_MARKS = "NSM"
_NO_LETTERS = frozenset({"B", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Bidirectional classes of controls; they have no effect here, as they are invisible."""
_PLAIN_CONTROL = "\u200b"
_MOST_TRIED = 16
"""Candidates for a text whose order is not found at once."""

# A number of two digits behind each character, in tags that the algorithm passes over, tells
# where it went: behind it still, or before it where its direction is from the right.
_TAGS, _DIGITS = 0xE0020, 48
_MOST_LETTERS = _DIGITS * _DIGITS
"""A longer line, of which no picture has the time steps, is left as it is."""
_ENDS = {"rtl": "\u05d0", "ltr": "a"}
"""A letter behind the line, so that the last tags don't end it; rules N1 and L1 don't mind."""
_TAGGED = re.compile(
    rf"(.)([\U{_TAGS:08x}-\U{_TAGS + _DIGITS - 1:08x}])"
    rf"([\U{_TAGS + _DIGITS:08x}-\U{_TAGS + 2 * _DIGITS - 1:08x}])"
    rf"|([\U{_TAGS + _DIGITS:08x}-\U{_TAGS + 2 * _DIGITS - 1:08x}])"
    rf"([\U{_TAGS:08x}-\U{_TAGS + _DIGITS - 1:08x}])(.)",
    re.DOTALL,
)


_LETTERS = "\u05d0-\u05ea\u0620-\u064a\u066e\u066f\u0671-\u06d3\u06d5\u06fa-\u06ff"
_MARKED = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
)
_ENDING = "\u05da\u05dd\u05df\u05e3\u05e5\u0629\u0649"
"""Letters that only end words: the five final ones of Hebrew, teh marbuta and alef maksura."""
_BACKWARDS = re.compile(
    rf"(?<![{_LETTERS}{_MARKED}])[{_ENDING}{_MARKED}][{_LETTERS}{_MARKED}]*"
    rf"[{_LETTERS}](?<![{_ENDING}])(?![{_LETTERS}{_MARKED}])"
)

_DRAWN = re.compile("[\ufb50-\ufdff\ufe70-\ufeff]{2,}")
"""Arabic in presentation forms, as programs that shape text for drawing leave it."""


class Ordered(NamedTuple):
    """A text in one order, made of one in the other."""

    text: str
    places: list[int]
    """Index of each character in the original text."""


class _Letter(NamedTuple):
    """A character with the combining marks behind it."""

    text: str
    place: int
    kind: str
    """Bidirectional class of the character."""


def turning(characters: str) -> frozenset[str]:
    """Those that make a text's order differ from the picture's: letters and numbers of scripts
    that run from the right."""
    return frozenset(c for c in characters if unicodedata.bidirectional(c) in _TURNING)


def mirrors(characters: str) -> dict[str, str]:
    """Pairs of ``characters`` such as brackets, each drawn as the other from right to left."""
    here = set(characters)
    return {c: MIRRORED[c] for c in characters if c in MIRRORED and MIRRORED[c] in here}


def visual(text: str, order: TextOrder, pairs: Mapping[str, str]) -> Ordered:
    """A logical ``text`` as it stands in a picture, from the left; ``pairs`` as of ``mirrors``."""
    letters = _letters(text)
    return _ordered([(letters[i], odd) for i, odd in _laid(letters, _base(letters, order))], pairs)


def logical(seen: str, order: TextOrder, pairs: Mapping[str, str]) -> Ordered:
    """The text that stands in a picture as ``seen``, from the left: the inverse of ``visual``.

    Where several texts look like this it is one of them; where none does (a misread picture), one
    that comes near.
    """
    letters = _letters(seen)
    bases = _seen_bases(letters, order)
    first: Ordered | None = None
    for candidate in chain.from_iterable(_candidates(letters, base) for base in bases):
        found = _ordered(candidate, pairs)
        first = first or found
        if visual(found.text, order, pairs).text == seen:
            return found
    assert first is not None, "there is always a candidate"
    return first


def backwards(text: str) -> str:
    """The first word of Hebrew or Arabic script that begins as words only end: with a letter or a
    form of it that stands at ends alone, or with a mark that belongs behind a letter.

    Such a text is in visual order, the order of the picture. Many that are have no such word, and
    it is empty for them, as for all others.
    """
    if text.isascii():
        return ""
    found = _BACKWARDS.search(text)
    if found:
        return found[0]
    drawn = (match[0] for match in _DRAWN.finditer(text))
    return next((w for w in drawn if unicodedata.decomposition(w[0]).startswith("<final>")), "")


def _letters(text: str) -> list[_Letter]:
    letters: list[_Letter] = []
    for place, character in enumerate(text):
        kind = unicodedata.bidirectional(character)
        if kind == _MARKS and letters:
            last = letters[-1]
            letters[-1] = last._replace(text=last.text + character)
        else:
            letters.append(_Letter(character, place, kind))
    return letters


def _ordered(letters: Sequence[tuple[_Letter, bool]], pairs: Mapping[str, str]) -> Ordered:
    """Letters in their new order; ``True`` for one that runs from the right."""
    parts: list[str] = []
    places: list[int] = []
    for letter, odd in letters:
        first = letter.text[0]
        parts.append(pairs.get(first, first) + letter.text[1:] if odd else letter.text)
        places += range(letter.place, letter.place + len(letter.text))
    return Ordered("".join(parts), places)


def _base(letters: Sequence[_Letter], order: TextOrder) -> str:
    """Direction of the paragraph: of its first strong letter (UAX #9, P2 and P3) if ``auto``."""
    if order != "auto":
        return order
    first = next((_STRONG[letter.kind] for letter in letters if letter.kind in _STRONG), "L")
    return "rtl" if first == "R" else "ltr"


def _seen_bases(letters: Sequence[_Letter], order: TextOrder) -> tuple[str, ...]:
    """The same of letters in picture order, the likelier first: where left-to-right letters stand
    at both ends, one of them was the first."""
    if order != "auto":
        return (order,)
    strong = [_STRONG[letter.kind] for letter in letters if letter.kind in _STRONG]
    return ("rtl", "ltr") if strong and "R" in (strong[0], strong[-1]) else ("ltr", "rtl")


def _laid(letters: Sequence[_Letter], base: str) -> list[tuple[int, bool]]:
    """Index of each letter from the left, and whether it runs from the right."""
    if base == "logical" or len(letters) > _MOST_LETTERS:
        return [(i, False) for i in range(len(letters))]
    kinds = {letter.kind for letter in letters}
    if base == "rtl" and not kinds & (_NUMBERS | {"L"}):
        return [(i, True) for i in reversed(range(len(letters)))]
    tagged = "".join(
        f"{_PLAIN_CONTROL if letter.kind in _NO_LETTERS else letter.text[0]}"
        f"{chr(_TAGS + i // _DIGITS)}{chr(_TAGS + _DIGITS + i % _DIGITS)}"
        for i, letter in enumerate(letters)
    )
    tagged += _ENDS[base]
    found = []
    for match in _TAGGED.finditer(str(get_display(tagged, base_dir=base[0].upper()))):
        odd = match[1] is None
        high, low = (match[5], match[4]) if odd else (match[2], match[3])
        found.append(((ord(high) - _TAGS) * _DIGITS + ord(low) - _TAGS - _DIGITS, odd))
    return found


def _candidates(letters: Sequence[_Letter], base: str) -> Iterator[list[tuple[_Letter, bool]]]:
    """Logical orders of letters seen in a picture, the likeliest first.

    Read as if it were logical the picture's order is turned back, save where numbers and what is
    between them depend on their neighbours. Then the same from the other side, then all
    levels (UAX #9) that these may have.
    """
    yield [(letters[i], odd) for i, odd in _laid(letters, base)]
    if base == "rtl":
        backwards = letters[::-1]
        yield [(backwards[i], odd) for i, odd in reversed(_laid(backwards, base))]
    yield from islice(_by_levels(letters, base), _MOST_TRIED)


def _by_levels(letters: Sequence[_Letter], base: str) -> Iterator[list[tuple[_Letter, bool]]]:
    lowest = 1 if base == "rtl" else 0
    choices: list[tuple[int, ...]] = []
    runs: list[int] = []
    fixed = _NUMBERS | _STRONG.keys()
    kinds = [letter.kind if letter.kind in fixed else "free" for letter in letters]
    for i, kind in enumerate(kinds):
        if i and kind == kinds[i - 1]:
            runs[-1] += 1
            continue
        runs.append(1)
        if kind in _STRONG:
            choices.append((1,) if _STRONG[kind] == "R" else (2 * lowest,))
        elif kind in _NUMBERS:
            choices.append((2,) if base == "rtl" else (2, 0))
        else:
            choices.append((1, 2) if base == "rtl" else (0, 1))
    for chosen in product(*choices):
        levels = [level for level, count in zip(chosen, runs, strict=True) for _ in range(count)]
        yield [(letters[i], levels[i] % 2 == 1) for i in _reordered(levels, lowest)]


def _reordered(levels: Sequence[int], lowest: int) -> list[int]:
    """Rule L2 of UAX #9, which is its own inverse: runs of each level, the highest first."""
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), max(lowest, 1) - 1, -1):
        start = None
        for i in range(len(levels) + 1):
            high = i < len(levels) and levels[i] >= level
            if high and start is None:
                start = i
            elif not high and start is not None:
                order[start:i] = order[start:i][::-1]
                start = None
    return order
