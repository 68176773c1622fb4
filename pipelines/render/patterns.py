"""Texts drawn from the caller's own regular expressions, such as ``INV-\\d{6}``.

The package ``rstr`` draws them; every text is matched against its pattern before it is used, so
that what ``rstr`` doesn't follow (anchors within, lookarounds) never gives a wrong text.
"""

from __future__ import annotations

import random
import re
from collections.abc import MutableSequence
from functools import lru_cache
from typing import Any, NamedTuple

from numpy.random import Generator
from rstr import Rstr

from crnn.errors import DataError
from crnn.files import storage
from crnn.text.charset import normalise, shown
from pipelines.render.texts import TextKind

_TRIES = 500
_CHECKS = 20
"""Texts that are drawn of a pattern before it is used."""
_LINE_END = re.compile(r"\r\n|\r|\n")


class Pattern(NamedTuple):
    """A regular expression, and how often it is drawn beside the others."""

    expression: str
    weight: float = 1.0


def load_patterns(uri: str) -> tuple[Pattern, ...]:
    """The patterns of a UTF-8 file of lines ``pattern<TAB>weight`` (weight 1 where there is none).

    Raises:
        DataError: the file is missing or empty, or a line is no regular expression or weight.
    """
    try:
        lines = _LINE_END.split(storage.read_bytes(uri).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{uri} can't be read as a UTF-8 list of patterns: {error}") from None
    found = [_pattern(line, f"{uri}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"{uri} has no patterns; expected lines such as INV-\\d{{6}}")
    return tuple(found)


def _pattern(line: str, where: str) -> Pattern:
    expression, tab, weight = line.rpartition("\t")
    if not tab:
        expression, weight = line, "1"
    try:
        re.compile(expression)
    except re.error as error:
        raise DataError(f"{where}: {expression!r} isn't a regular expression: {error}") from None
    try:
        value = float(weight)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise DataError(f"{where}: the weight is {weight!r}; expected a number above 0")
    return Pattern(expression, value)


@lru_cache(maxsize=8)
def patterns_kind(patterns: tuple[Pattern, ...], characters: str, max_length: int) -> TextKind:
    """A kind that draws texts of ``patterns`` in ``characters`` only.

    Raises:
        DataError: when a pattern has no such text, naming it and what it would need.
    """
    drawers = [_Drawer(pattern.expression, characters, max_length) for pattern in patterns]
    for number, drawer in enumerate(drawers):
        for seed in range(_CHECKS):
            drawer.draw(random.Random(f"{number} {seed}"))
    weights = [pattern.weight for pattern in patterns]

    def draw(rng: Generator) -> str:
        dice = random.Random(int(rng.integers(2**63)))
        return dice.choices(drawers, weights)[0].draw(dice)

    return TextKind(draw=draw, weight=1.0, characters=characters)


class _Drawer:
    """Draws the texts of one pattern."""

    def __init__(self, expression: str, characters: str, max_length: int) -> None:
        self._expression, self._compiled = expression, re.compile(expression)
        self._characters, self._max_length = characters, max_length

    def draw(self, dice: random.Random) -> str:
        """A text; DataError where none of ``_TRIES`` tries is one."""
        ours = _Dice(dice.getrandbits(64))
        ours.allowed, ours.most = frozenset(self._characters), self._max_length
        source = Rstr(ours, printable=self._characters)
        lacking: set[str] = set()
        last = ""
        for _ in range(_TRIES):
            try:
                text = normalise(source.xeger(self._expression))
            except (KeyError, IndexError, TypeError, AttributeError, ValueError):
                continue  # a construct that can't be drawn, or nothing to choose from
            unknown = set(text) - ours.allowed
            lacking |= unknown
            last = text or last
            is_seen = text and text == text.strip() and len(text) <= self._max_length
            if is_seen and not unknown and self._compiled.fullmatch(text):
                return text
        raise DataError(self._refusal(lacking | ours.lacking, last))

    def _refusal(self, lacking: set[str], last: str) -> str:
        start = f"no text of {_TRIES} that were drawn matches the pattern {self._expression!r}"
        if lacking:
            listed = shown(sorted(lacking))
            return f"{start} in the charset, which lacks {listed}; name them with --charset"
        if len(last) > self._max_length:
            return (
                f"{start} with at most {self._max_length} characters, the last one has {len(last)};"
                " raise --max-length or bound its repetitions"
            )
        return (
            f"{start} (the last was {last!r}); expected literals, classes, groups, alternatives "
            "and repetitions, without lookarounds and anchors within, and no space at the ends"
        )


class _Dice(random.Random):
    """Chooses among characters of the charset alone, and repeats no more often than a text may be
    long. Characters are put in order first: ``rstr`` has sets of them, whose order is another in
    each process.
    """

    allowed: frozenset[str] = frozenset()
    most = 0
    lacking: frozenset[str] = frozenset()
    """Characters of a class none of which is allowed."""

    def choice(self, seq: Any) -> Any:
        """One of the characters that are allowed; of anything else any."""
        if isinstance(seq, (str, MutableSequence)) and all(_is_character(c) for c in seq):
            known = sorted(self.allowed.intersection(seq))
            if not known:
                self.lacking |= frozenset(seq)
            return super().choice(known)
        return super().choice(seq)

    def randint(self, a: int, b: int) -> int:
        """A number of repetitions."""
        return super().randint(a, min(b, max(a, self.most)))


def _is_character(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1
