"""What becomes of a label before it is a sample's text: Unicode, case, whitespace, characters.

The rules are applied in the order of the fields of ``TextRules``, and written into the manifest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from crnn.text.charset import BREAKS, Charset, normalise, shown
from crnn.text.charset_file import charset_of

UNICODE_FORMS = {"nfc": "NFC", "nfkc": "NFKC"}
PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ`´＇", "'"),
        **dict.fromkeys("“”„‟″«»＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
        **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007", " "),
        **dict.fromkeys("\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        "…": "...",
        "⁄": "/",
        "∕": "/",
        "•": "·",
        "‹": "<",
        "›": ">",
    }
)
"""Typographic marks → what a keyboard has in their place."""
_INVISIBLE = ("Cc", "Cf")
"""Control and format characters: byte-order marks, zero-width spaces, soft hyphens."""
PICTURE_PATH = re.compile(
    r"[^\s\"'\x00-\x1f\x7f]+\.(?:png|jpe?g|tiff?|bmp|webp|gif)\b", re.IGNORECASE
)
"""What in a label is the path of a picture: a list that was read wrongly, mostly."""
_SHOWN_LENGTH = 40
_JOINERS = "\u200c\u200d"
_VIRAMA = 9
"""Combining class of the signs behind which Indic scripts need joiners."""


class LabelError(Exception):
    """A label that makes no text. ``reason`` is a reject reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """What becomes of labels; in this order."""

    unicode: Literal["nfc", "nfkc"] = "nfc"
    """Normalization form; nfkc also replaces ligatures, full-width forms and the like."""
    punctuation: Literal["keep", "fold"] = "keep"
    """fold: replace curly quotes, dashes and special spaces by those of a keyboard."""
    invisible: Literal["keep", "drop"] = "keep"
    """drop: remove zero-width characters, soft hyphens and control characters except whitespace."""
    whitespace: Literal["keep", "strip", "collapse"] = "strip"
    """strip: remove whitespace at both ends; collapse: also replace each run of it by one space."""
    case: Literal["keep", "lower", "upper", "lower_tr", "upper_tr"] = "keep"
    """All letters of one case. lower makes i of both I and İ; lower_tr and upper_tr pair I with ı
    and İ with i, as Turkish and Azerbaijani do."""
    charset: str = ""
    """The characters allowed: a name (digits, lower, alnum, alnum_cased, ascii, ascii_space,
    codes), the characters themselves (each code point is one), or a .txt file of them; default:
    all."""
    unknown: Literal["reject", "drop", "fold"] = "reject"
    """Characters outside the charset: reject the sample, drop the character, or fold it to one
    that is allowed (without accent, other case, keyboard punctuation), else reject."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "charset", charset_of(self.charset))
        if self.unknown != "reject" and not self.charset:
            raise ValueError(
                f"--unknown is {self.unknown} without a --charset; name the characters allowed"
            )
        if self.charset:
            Charset.named(self.charset)

    def apply(self, label: str) -> str:
        """The text of a label, in NFC.

        No text has a line break or another control character, under any rules.

        Raises:
            LabelError: ``empty_label``, ``control_character`` or ``unknown_character``.
        """
        text = self._plain(label)
        if self.charset and not self._allowed.issuperset(text):
            text = _WHITESPACE[self.whitespace]("".join(map(self._allow, text)))
        if not text.strip():
            raise LabelError("empty_label", f"the label {label[:_SHOWN_LENGTH]!r} has no text")
        return text

    def _plain(self, label: str) -> str:
        """The text before its characters are held against the charset."""
        text = unicodedata.normalize(UNICODE_FORMS[self.unicode], label)  # type: ignore[arg-type]
        if self.punctuation == "fold":
            text = text.translate(PUNCTUATION)
        if self.invisible == "drop":
            text = "".join(
                c for i, c in enumerate(text) if _is_visible(c) or is_needed_joiner(text, i)
            )
        text = normalise(_CASES[self.case](_WHITESPACE[self.whitespace](text)))
        if not text.isprintable():
            _refuse_breaks(text)
        return text

    def unknown_in(self, label: str) -> str:
        """The characters of a usable label that ``unknown`` drops or folds; empty for none."""
        if self.unknown == "reject":
            return ""
        return "".join(c for c in self._plain(label) if c not in self._allowed)

    def recipe(self) -> dict[str, Any]:
        """As the manifest records it: the characters themselves in place of their set's name."""
        chosen = {field.name: getattr(self, field.name) for field in fields(TextRules)}
        return {**chosen, "charset": self._characters}

    @property
    def _characters(self) -> str:
        return Charset.named(self.charset).characters if self.charset else ""

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(self._characters)

    def _allow(self, character: str) -> str:
        if character in self._allowed or self.unknown == "drop":
            return character if character in self._allowed else ""
        if self.unknown == "fold":
            for found in _foldings(character):
                if self._allowed.issuperset(found):
                    return found
        raise LabelError(
            "unknown_character",
            f"{character!r} (U+{ord(character):04X}) is not among the characters allowed: "
            f"{shown(self._characters)}",
        )


def _refuse_breaks(text: str) -> None:
    """Raise LabelError for a character that ends a line or steers a device."""
    found = next((c for c in text if unicodedata.category(c) in BREAKS), None)
    if found is None:
        return
    path = PICTURE_PATH.search(text)
    hint = f"; it holds the path {path[0]!r}: did several lines run together?" if path else ""
    remedy = (
        "--whitespace collapse makes it a space"
        if found.isspace()
        else "--invisible drop leaves it out"
    )
    raise LabelError(
        "control_character",
        f"the label {text[:_SHOWN_LENGTH]!r} has {found!r} (U+{ord(found):04X}) in it{hint}; "
        f"correct the label; {remedy}",
    )


def is_needed_joiner(text: str, place: int) -> bool:
    """Whether a zero-width joiner or non-joiner stands there that shows: between letters that
    would join or not otherwise, as in Persian, or behind the virama of an Indic script."""
    if text[place] not in _JOINERS or not 0 < place < len(text) - 1:
        return False
    return _joins(text[place - 1]) and text[place + 1].isalpha()


def _joins(character: str) -> bool:
    is_arabic = "\u0600" <= character <= "\u08ff" or unicodedata.bidirectional(character) == "AL"
    return is_arabic or unicodedata.combining(character) == _VIRAMA


def _is_visible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in _INVISIBLE


def _foldings(character: str) -> list[str]:
    """What may stand for a character, the nearest first; never nothing."""
    plain = unicodedata.normalize("NFKD", character)
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    steps = [character.translate(PUNCTUATION), normalise(plain), bare, bare.translate(PUNCTUATION)]
    return [form for form in (*steps, *(step.swapcase() for step in steps)) if form]


_WHITESPACE: dict[str, Callable[[str], str]] = {
    "keep": lambda text: text,
    "strip": str.strip,
    "collapse": lambda text: " ".join(text.split()),
}
_TURKISH_LOWER = str.maketrans("Iİ", "ıi")
_TURKISH_UPPER = str.maketrans("ıi", "Iİ")
_CASES: dict[str, Callable[[str], str]] = {
    "keep": lambda text: text,
    "lower": lambda text: text.replace("İ", "i").lower(),  # else i and U+0307
    "upper": str.upper,
    "lower_tr": lambda text: text.translate(_TURKISH_LOWER).lower(),
    "upper_tr": lambda text: text.translate(_TURKISH_UPPER).upper(),
}


def is_unicode(text: str) -> bool:
    """Whether it has no lone surrogate, such as a name that isn't UTF-8 is read with."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
