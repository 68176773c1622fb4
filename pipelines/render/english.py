"""What is written in an English-speaking place: words in their cases, and all that isn't words.

Each kind draws one text from a seeded generator; ``english_kinds`` gives those that a charset can
write. Words keep to their side of the split in any case and with any punctuation mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from numpy.random import Generator

from crnn.errors import DataError
from crnn.text.charset import DIGITS, shown
from pipelines.render import texts
from pipelines.render.texts import (
    DrawText,
    TextKind,
    TextSplit,
    chars_kind,
    on_side,
    pick,
    pick_chars,
)
from pipelines.render.words import WordList

_SMALL = "abcdefghijklmnopqrstuvwxyz"
_CAPITALS = _SMALL.upper()
_CASES = {"small": 0.22, "capitalised": 0.28, "capitals": 0.48, "mixed": 0.02}
_MARK_SHARE = 0.08
"""Words with a punctuation mark, quotes or brackets."""
_ENDS = (".", ",", ",", ".", ":", "!", "?", ";", "...", "'s", "'S", "*", "-", "%", "/", "&", "+")
_AROUND = ("()", '""', "''", "[]", "<>", "{}", "**", "--", "//", "##", "__", "``")
_STARTS = ("#", "@", "&", "*", "-", "$", "+", "~", ">", "/", "=")
_MORE_ENDS = ("…", "€", "°", "®", "™", "²")
_MORE_AROUND = ("„“", "“”", "‘’", "«»", "¿?", "¡!")
_MORE_STARTS = ("€", "£", "§", "•", "–", "…", "№")
"""Marks of other languages, for charsets that have them."""
_JOINTS = ("-", "-", "-", "/", "&", ".", "_", "+", "'", "|", "\\", "=", ":", "^")
_DOMAINS = (
    "com",
    "com",
    "com",
    "net",
    "org",
    "co.uk",
    "de",
    "fr",
    "it",
    "info",
    "io",
    "edu",
    "gov",
)
_UNITS = ("g", "kg", "mg", "ml", "l", "L", "cm", "mm", "m", "km", "h", "min", "W", "V", "GB", "%")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONEY = ("$", "$", "$", "US$", "EUR", "RM", "GBP", "CHF", "Rs.")
_LINE_CASES = {"capitals": 0.4, "title": 0.25, "small": 0.2, "mixed": 0.15}
_LINE_WRITERS: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "title": str.capitalize,
    "small": str.lower,
    "mixed": str,
}
_EXAMPLES = 5
LINE_WORDS = (2, 7)
"""Least and most pieces of a line."""


def price(rng: Generator) -> str:
    """An amount in ASCII, e.g. ``$19.99``, ``RM4.50``, ``1,250.00`` or ``2.99-``."""
    units = int(10 ** rng.uniform(0, 4.5))
    cents = pick(
        rng, ("00", "99", "50", "95", f"{rng.integers(100):02}", f"{rng.integers(100):02}")
    )
    number = pick(rng, (f"{units}.{cents}", f"{units}.{cents}", f"{units:,}.{cents}", f"{units}"))
    money = pick(rng, _MONEY)
    return pick(rng, (number, f"{money}{number}", f"{money}{number}", f"-{number}", f"{number}-"))


def percentage(rng: Generator) -> str:
    """A share, e.g. ``50%``, ``-12.5%`` or ``+3%``."""
    number = f"{rng.integers(1, 101)}" + (f".{rng.integers(10)}" if rng.random() < 0.25 else "")
    return pick(rng, ("", "", "", "-", "+")) + number + "%"


def phone(rng: Generator) -> str:
    """A telephone number without spaces, e.g. ``(555)123-4567`` or ``+49-30-1234``."""
    a, b, c = (pick_chars(rng, DIGITS, n) for n in (3, 3, 4))
    forms = (f"{a}-{b}-{c}", f"({a}){b}-{c}", f"{a}.{b}.{c}", f"+{a[:2]}-{b}-{c}", f"0{a}-{b}{c}")
    return pick(rng, (*forms, f"1-800-{b}-{c}", f"{b}-{c}", f"0{a}{b}{c}"))


def ordinal(rng: Generator) -> str:
    """A number with its ending, e.g. ``21st``, ``4TH``."""
    number = int(rng.integers(1, 120))
    last = 0 if number // 10 % 10 == 1 else number % 10
    ending = {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
    return f"{number}{ending.upper() if rng.random() < 0.4 else ending}"


def measure(rng: Generator) -> str:
    """A quantity, e.g. ``500ml``, ``1.5kg``, ``24h`` or ``2x``."""
    number = int(10 ** rng.uniform(0, 3))
    decimals = f".{rng.integers(10)}" if rng.random() < 0.25 else ""
    return f"{number}{decimals}" + pick(rng, (*_UNITS, "x"))


def initials(rng: Generator) -> str:
    """Letters that stand for words, e.g. ``U.S.A.``, ``B&B``, ``TV`` or ``Ph.D``."""
    letters = [pick(rng, tuple(_CAPITALS)) for _ in range(int(rng.integers(1, 5)))]
    joint = pick(rng, ("", "", ".", "&"))
    return joint.join(letters) + ("." if joint == "." else "")


def month(rng: Generator) -> str:
    """A date with its month by name and no space, e.g. ``12-Mar-2021`` or ``JUL'09``."""
    name = pick(rng, _MONTHS)
    name = name.upper() if rng.random() < 0.5 else name
    day, year = int(rng.integers(1, 29)), int(rng.integers(1950, 2050))
    return pick(
        rng, (f"{day}-{name}-{year}", f"{name}'{year % 100:02}", f"{day}{name}{year}", name)
    )


NUMBERS: dict[str, TextKind] = {
    **{name: texts.KINDS[name] for name in ("digits", "date", "time", "code", "plate")},
    "price": TextKind(
        draw=price, weight=3.0, characters=DIGITS + "$.,-" + "".join({*"".join(_MONEY)})
    ),
    "percentage": TextKind(draw=percentage, weight=1.0, characters=DIGITS + "%.+-"),
    "phone": TextKind(draw=phone, weight=1.0, characters=DIGITS + "-()+."),
    "ordinal": TextKind(draw=ordinal, weight=0.5, characters=DIGITS + "stndrhSTNDRH"),
    "measure": TextKind(
        draw=measure, weight=1.0, characters=DIGITS + ".x" + "".join({*"".join(_UNITS)})
    ),
    "initials": TextKind(draw=initials, weight=1.0, characters=_CAPITALS + ".&"),
    "month": TextKind(
        draw=month,
        weight=0.5,
        characters=DIGITS + "-'" + "".join({*"".join(_MONTHS), *"".join(_MONTHS).upper()}),
    ),
}
NUMBERS["digits"] = replace(NUMBERS["digits"], weight=3.0)
WORDS_WEIGHT = 6.0
"""How much likelier words are than all numbers and codes together."""
ADDRESS_WEIGHT = 0.02
CHARS_WEIGHT = 0.04
"""Shares of addresses and of random strings, as parts of the words' weight."""


@dataclass(frozen=True)
class _Case:
    """The ways of writing that a charset has."""

    small: bool
    capitals: bool
    allowed: frozenset[str]
    of_languages: bool

    def fold(self, word: str) -> str:
        """A word in letters that there are."""
        if not self.small:
            return word.upper()
        return word if self.capitals else word.lower()

    def vary(self, word: str, rng: Generator) -> str:
        """One of the cases at random that can be written, or the only one."""
        if not (self.small and self.capitals):
            return self.fold(word)
        cased = in_case(word, pick_weighted(rng, _CASES), rng)
        return cased if self.allowed.issuperset(cased) else word

    def marked(self, word: str, rng: Generator) -> str:
        """Perhaps a mark before, after or around it; only such as the charset has."""
        if rng.random() >= _MARK_SHARE:
            return word
        point = rng.random()
        if point < 0.6:
            marked = word + pick(rng, self._with(_ENDS, _MORE_ENDS))
        elif point < 0.85:
            around = pick(rng, self._with(_AROUND, _MORE_AROUND))
            marked = around[0] + word + around[1]
        else:
            marked = pick(rng, self._with(_STARTS, _MORE_STARTS)) + word
        return marked if set(marked) <= self.allowed else word

    def _with(self, marks: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
        """The marks, and those of the others that the charset has."""
        more = more if self.of_languages else ()
        return marks + tuple(mark for mark in more if self.allowed.issuperset(mark))


def in_case(word: str, case: str, rng: Generator) -> str:
    """``word`` in one of the cases ``small``, ``capitalised``, ``capitals``, ``mixed``."""
    if case == "small":
        return word
    if case == "capitals":
        return word.upper()
    if case == "capitalised":
        return word[:1].upper() + word[1:]
    return "".join(c.upper() if rng.random() < 0.5 else c for c in word)


def pick_weighted(rng: Generator, weights: Mapping[str, float]) -> str:
    """A key, as often as its weight says."""
    point = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        point -= weight
        if point < 0:
            return key
    return next(iter(weights))


def english_kinds(
    characters: str,
    words: WordList,
    split: TextSplit,
    *,
    max_length: int,
    lines: bool = False,
) -> dict[str, TextKind]:
    """Kinds that write English with ``characters`` only, in texts of at most ``max_length``.

    Args:
        split: the side that each word belongs to, in small letters and bare.
        lines: several pieces a text, with spaces between them.

    Raises:
        DataError: when the charset has neither digits nor the letters of any word, or no space
            for lines.
    """
    case = _case_of(characters, words)
    allowed = case.allowed
    ours = writable(words, characters, max_length).only(lambda word: on_side(word, split))
    kinds = {name: kind for name, kind in NUMBERS.items() if set(kind.characters) <= allowed}
    if ours.words:
        kinds |= _word_kinds(ours.drawer(), case, kinds)
    if not kinds:
        raise DataError(
            f"the charset {shown(characters)} has neither digits nor the letters of a word in the "
            "list"
        )
    visible = "".join(c for c in characters if not c.isspace())
    weight = CHARS_WEIGHT * sum(kind.weight for kind in kinds.values())
    kinds["chars"] = replace(chars_kind(visible, max_length=min(10, max_length)), weight=weight)
    kinds = {name: replace(k, draw=_up_to(k.draw, max_length)) for name, k in kinds.items()}
    return {"lines": _lines_kind(kinds, characters, max_length)} if lines else kinds


def writable(words: WordList, characters: str, max_length: int) -> WordList:
    """Those of the words that the charset can write, in one case or the other, and not too long."""
    case = _case_of(characters, words)
    return words.only(lambda w: case.allowed.issuperset(case.fold(w)) and len(w) <= max_length)


def left_out(words: WordList, characters: str, max_length: int) -> list[str]:
    """Which words are never drawn, and why, in sentences; none where all are."""
    case, told = _case_of(characters, words), []
    for what, is_out in (
        (
            "have characters that the charset lacks",
            lambda w: not case.allowed.issuperset(case.fold(w)),
        ),
        (f"are longer than {max_length} characters (--max-length)", lambda w: len(w) > max_length),
    ):
        out = words.only(is_out)
        if not out.words:
            continue
        share = float(out.counts.sum() / words.counts.sum())
        lacking = sorted({c for w in out.words for c in case.fold(w)} - case.allowed)
        remedy = f"; it lacks {shown(lacking)}: name them with --charset" if lacking else ""
        told.append(
            f"{len(out.words):,} of {len(words.words):,} words, {share:.0%} of their counts, "
            f"{what} and are left out: {', '.join(out.words[:_EXAMPLES])}"
            f"{', …' if len(out.words) > _EXAMPLES else ''}{remedy if 'lacks' in what else ''}"
        )
    return told


def _case_of(characters: str, words: WordList) -> _Case:
    allowed = frozenset(characters)
    if words.of_languages:
        small, capitals = any(map(str.islower, allowed)), any(map(str.isupper, allowed))
    else:
        small, capitals = bool(allowed & set(_SMALL)), bool(allowed & set(_CAPITALS))
    return _Case(small, capitals, allowed, words.of_languages)


def _word_kinds(
    draw_word: Callable[[Generator], str], case: _Case, numbers: Mapping[str, TextKind]
) -> dict[str, TextKind]:
    """Words alone and joined, and addresses made of them."""
    characters = "".join(sorted(case.allowed))

    def word(rng: Generator) -> str:
        return case.marked(case.vary(draw_word(rng), rng), rng)

    def joined(rng: Generator) -> str:
        joint = pick(rng, _JOINTS)
        text = case.vary(f"{draw_word(rng)}{joint}{draw_word(rng)}", rng)
        return text if joint in case.allowed else word(rng)

    def numbered(rng: Generator) -> str:
        number = pick_chars(rng, DIGITS, int(rng.integers(1, 4)))
        return case.vary(draw_word(rng), rng) + number

    def address(rng: Generator) -> str:
        site, person = draw_word(rng), draw_word(rng)
        end = pick(rng, _DOMAINS)
        forms = (f"www.{site}.{end}", f"{site}.{end}", f"{person}@{site}.{end}")
        return case.fold(pick(rng, (*forms, f"http://{site}.{end}", f"{site}.{end}/{person}")))

    whole = WORDS_WEIGHT * (sum(kind.weight for kind in numbers.values()) or 1.0)
    made: dict[str, tuple[DrawText, float]] = {"word": (word, 0.95), "joined": (joined, 0.03)}
    if set(DIGITS) <= case.allowed:
        made["numbered"] = (numbered, 0.01)
    if set(".@/:") <= case.allowed:
        made["address"] = (address, ADDRESS_WEIGHT)

    def within(draw: DrawText) -> DrawText:
        """The same texts, a plain word for what the charset can't write."""

        def drawn(rng: Generator) -> str:
            text = draw(rng)
            return text if case.allowed.issuperset(text) else case.fold(draw_word(rng))

        return drawn

    return {
        name: TextKind(draw=within(draw), weight=whole * share, characters=characters)
        for name, (draw, share) in made.items()
    }


def _up_to(draw: DrawText, max_length: int) -> DrawText:
    """The same texts less those that are longer."""

    def drawn(rng: Generator) -> str:
        while len(text := draw(rng)) > max_length:
            pass
        return text

    return drawn


def _lines_kind(kinds: Mapping[str, TextKind], characters: str, max_length: int) -> TextKind:
    if " " not in characters:
        raise DataError(
            f"lines need a space, which the charset {shown(characters)} has not; add it"
        )
    weights = {name: kind.weight for name, kind in kinds.items()}

    def draw(rng: Generator) -> str:
        pieces: list[str] = []
        for _ in range(int(rng.integers(LINE_WORDS[0], LINE_WORDS[1] + 1))):
            piece = kinds[pick_weighted(rng, weights)].draw(rng)
            if len(" ".join([*pieces, piece])) > max_length:
                break
            pieces.append(piece)
        case = pick_weighted(rng, _LINE_CASES)
        cased = " ".join(_LINE_WRITERS[case](piece) for piece in pieces)
        return cased if set(cased) <= set(characters) else " ".join(pieces)

    return TextKind(draw=draw, weight=1.0, characters=characters)
