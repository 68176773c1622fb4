"""Characters and their class ids: the only place that knows which id the CTC blank has.

A ``Charset`` turns a text into CTC targets and class ids back into text. The blank owns
no character, so ``-`` and space are ordinary members. Texts are in logical order, class ids in the
picture's, from the left: ``crnn.text.order`` tells how they differ for right-to-left scripts.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from crnn.errors import CharsetError
from crnn.text.order import TEXT_ORDERS, Ordered, TextOrder, logical, mirrors, turning, visual

BLANK_ID = 0

DIGITS = string.digits
_ASCII = "".join(chr(code) for code in range(32, 127))
_SIGNS = "€£¥¢§°©®™«»„“”‘’‚–—…•·"
_OF_LATIN = "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿāăąćčďđēęěğģīįıķļľĺłńņňōőœŕřśşšșťţțūůűųźżž"
"""Letters of the languages of Europe and of Turkish that ASCII hasn't."""
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"
_CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюяґєіїђјљњћџѓќѕў"


def _both_cases(small: str) -> str:
    """The letters, and their capitals where they have ones of one character."""
    capitals = (letter.upper() for letter in small)
    return small + "".join(c for c in dict.fromkeys(capitals) if len(c) == 1 and c not in small)


CHARSETS: dict[str, str] = {
    "digits": DIGITS,
    "lower": string.ascii_lowercase,
    "alnum": DIGITS + string.ascii_lowercase,
    "alnum_cased": DIGITS + string.ascii_lowercase + string.ascii_uppercase,
    "ascii": _ASCII[1:],
    "ascii_space": _ASCII,
    "latin": _ASCII + _both_cases(_OF_LATIN).replace("I", "") + "İßẞ¿¡ªº²³½±×µ" + _SIGNS,
    "greek": _ASCII + _both_cases(_GREEK) + _SIGNS,
    "cyrillic": _ASCII + _both_cases(_CYRILLIC) + _SIGNS + "№",
    "codes": DIGITS + string.ascii_uppercase + "$€.,:/-",
}

BREAKS = ("Cc", "Zl", "Zp")
"""Unicode categories of control characters and separators of lines: never part of a line."""
_MOST_SHOWN = 60


def shown(characters: Iterable[str]) -> str:
    """Some characters for a message: the first of them in quotes, and how many more there are."""
    whole = "".join(characters)
    if len(whole) <= _MOST_SHOWN:
        return repr(whole)
    return f"{whole[:_MOST_SHOWN]!r} and {len(whole) - _MOST_SHOWN:,} more"


def _listed(characters: Sequence[str]) -> str:
    more = len(characters) - _MOST_SHOWN
    return f"{list(characters[:_MOST_SHOWN])!r}" + (f" and {more:,} more" if more > 0 else "")


def normalise(text: str) -> str:
    """The one form in which texts are compared, counted and encoded: Unicode NFC."""
    return unicodedata.normalize("NFC", text)


@dataclass(frozen=True)
class Charset:
    """An ordered set of distinct characters; class ids are ``1 + position``, the blank is 0.

    Each character is one Unicode code point of an NFC text. They are a set, not a text: a combining
    mark among them is a character of its own, and never joins the one that happens to stand before.

    Raises:
        CharsetError: when empty, when a character occurs twice, or is not in NFC.
    """

    characters: str
    text_order: TextOrder = "auto"
    """How lines with right-to-left letters run in pictures; without such letters it has no
    effect."""

    def __post_init__(self) -> None:
        if self.text_order not in TEXT_ORDERS:
            raise CharsetError(
                f"text_order is {self.text_order!r}; expected one of {sorted(TEXT_ORDERS)}"
            )
        if not self.characters:
            raise CharsetError("the charset is empty; give at least one character")
        seen: set[str] = set()
        twice = sorted({c for c in self.characters if c in seen or seen.add(c)})  # type: ignore[func-returns-value]
        if twice:
            raise CharsetError(
                f"the charset has {shown(twice)} more than once; characters are distinct"
            )
        unstable = [c for c in self.characters if normalise(c) != c]
        if unstable:
            raise CharsetError(
                f"the charset has {shown(unstable)}, which are not in Unicode NFC; expected "
                f"{shown(dict.fromkeys(normalise(c) for c in unstable))} in their place"
            )

    @classmethod
    def named(cls, name_or_characters: str, text_order: TextOrder = "auto") -> Charset:
        """A registered charset by its name, else the given characters themselves.

        Raises:
            CharsetError: also for what is no character of a line of text.
        """
        characters = CHARSETS.get(name_or_characters, name_or_characters)
        unfit = [c for c in characters if unicodedata.category(c) in (*BREAKS, "Cs")]
        if unfit:
            raise CharsetError(
                f"the charset has {shown(unfit)}, which can't occur in a line of text; leave it "
                "out (often it is the line end of a file, or the one that YAML's | and > keep)"
            )
        return cls(characters, text_order)

    @classmethod
    def of_texts(cls, texts: Iterable[str], text_order: TextOrder = "auto") -> Charset:
        """The smallest charset that writes every one of ``texts``, in code point order."""
        return cls("".join(sorted({c for text in texts for c in normalise(text)})), text_order)

    @property
    def num_classes(self) -> int:
        """Characters and the blank: the model's output width."""
        return len(self.characters) + 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {c: i for i, c in enumerate(self.characters, start=BLANK_ID + 1)}

    def unknown(self, text: str) -> list[str]:
        """The distinct characters of ``text`` that the set lacks, in order of appearance."""
        return list(dict.fromkeys(c for c in normalise(text) if c not in self._ids))

    @cached_property
    def _turning(self) -> frozenset[str]:
        """Characters of right-to-left scripts: a text without any is the same in both orders."""
        return frozenset() if self.text_order == "logical" else turning(self.characters)

    @cached_property
    def _mirrors(self) -> dict[str, str]:
        return mirrors(self.characters)

    def in_known_case(self, text: str) -> str | None:
        """``text`` (NFC) with each letter whose case the set lacks in the other one.

        None where that doesn't help either. The length stays.
        """
        turned: dict[int, str] = {}
        for c in set(text) - self._ids.keys():
            other = next((f for f in (c.lower(), c.upper()) if f in self._ids), None)
            if other is None:
                return None
            turned[ord(c)] = other
        return text.translate(turned) if turned else text

    def encode(self, text: str) -> list[int]:
        """Class ids of ``text`` (NFC) in the order of the picture, no blanks.

        Raises:
            CharsetError: naming the characters that the set lacks.
        """
        text = normalise(text)
        try:
            return [self._ids[c] for c in text] if self.is_level(text) else self._turned_ids(text)
        except KeyError:
            raise CharsetError(
                f"{text!r} has {_listed(self.unknown(text))}, not among the charset's "
                f"{len(self.characters)} characters; extend the charset or drop the sample"
            ) from None

    def _turned_ids(self, text: str) -> list[int]:
        return [self._ids[c] for c in self.in_picture(text).text]

    def is_level(self, text: str) -> bool:
        """Whether nothing in ``text`` runs from the right, so that both orders are the same."""
        return not self._turning or self._turning.isdisjoint(text)

    def in_picture(self, text: str) -> Ordered:
        """``text`` (NFC) as it stands in a picture, from the left."""
        return visual(text, self.text_order, self._mirrors)

    def from_picture(self, seen: str) -> Ordered:
        """The inverse: of several texts that look like ``seen`` it is one."""
        return logical(seen, self.text_order, self._mirrors)

    def looks_alike(self, text: str, other: str) -> bool:
        """Whether no picture tells these texts apart (NFC, with known characters or not)."""
        if text == other or (self.is_level(text) and self.is_level(other)):
            return text == other
        return self.in_picture(text).text == self.in_picture(other).text

    def ids_of(self, characters: Iterable[str]) -> list[int]:
        """Class ids of characters of the set, each by itself: they needn't make a text in NFC."""
        return [self._ids[c] for c in characters]

    def text(self, class_ids: Iterable[int]) -> str:
        """The text that stands in a picture as ``class_ids``; blanks are not allowed."""
        seen = self.seen(class_ids)
        return seen if self.is_level(seen) else self.from_picture(seen).text

    def seen(self, class_ids: Iterable[int]) -> str:
        """The characters of ``class_ids`` as they stand; blanks are not allowed."""
        return "".join(self.characters[i - BLANK_ID - 1] for i in class_ids)

    @cached_property
    def turns(self) -> NDArray[np.bool_]:
        """For each class id, whether its character belongs to a right-to-left script."""
        return np.array([False, *(c in self._turning for c in self.characters)], dtype=np.bool_)

    @property
    def has_turns(self) -> bool:
        """Whether any character is."""
        return bool(self._turning)

    @cached_property
    def code_points(self) -> NDArray[np.uint32]:
        """The Unicode code point of each class id; of the blank, which has none, 0."""
        ordered = [0] * self.num_classes
        for character, class_id in self._ids.items():
            ordered[class_id] = ord(character)
        return np.array(ordered, dtype=np.uint32)

    def collapse(self, path: Sequence[int]) -> str:
        """The text of a CTC path: equal neighbours merged, then blanks removed (Graves 2006)."""
        return self.text(i for i, _ in groupby(path) if i != BLANK_ID)
