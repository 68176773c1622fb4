"""Word lists with frequencies: one that comes with an installed package, or the user's own file.

The default are the 82,765 words of ``symspellpy`` (MIT): words of SCOWL with their counts in the
Google Books Ngrams (CC BY 3.0).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crnn import storage
from crnn.charset import normalise
from crnn.errors import DataError

_PACKAGE = "symspellpy"
_FILE = "frequency_dictionary_en_82_765.txt"
_LINE_END = re.compile(r"\r\n|\r|\n")
_COUNT = re.compile(r"\d+\.?\d*|\.\d+")
WORD_POWER = 0.65
"""A word is drawn as often as its count to this power: 1 as in print, 0 all as often."""


@dataclass(frozen=True, eq=False)
class WordList:
    """Distinct words with their counts."""

    words: Sequence[str]
    counts: NDArray[np.float64]

    def only(self, wanted: Callable[[str], bool]) -> WordList:
        """Those of the words that are wanted."""
        places = [i for i, word in enumerate(self.words) if wanted(word)]
        return WordList([self.words[i] for i in places], self.counts[places])

    def drawer(self, power: float = WORD_POWER) -> Callable[[Generator], str]:
        """A function that draws words, each as often as its count to the power of ``power``."""
        limits = np.cumsum(self.counts**power)
        words, total = self.words, float(limits[-1])
        return lambda rng: words[int(np.searchsorted(limits, rng.random() * total, side="right"))]


def load_words(uri: str = "") -> WordList:
    """The words of a file of lines ``word<TAB>count`` (count 1 where there is none).

    Without ``uri`` the list that is installed. A word may have spaces in it: ``New York<TAB>5``. A
    space may stand for the tab, before a number that ends the line.

    Raises:
        DataError: when the file is missing, has no word, a count that is none, or a word with a
            control character.
    """
    if not uri:
        return _installed()
    try:
        return parse_words(storage.read_bytes(uri).decode("utf-8-sig"), uri)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{uri} can't be read as a UTF-8 word list: {error}") from None


def parse_words(text: str, name: str) -> WordList:
    """The words of a list's ``text``; ``name`` is for messages."""
    counts: dict[str, float] = {}
    for number, line in enumerate(_LINE_END.split(text), 1):
        word, count = _word_and_count(line.strip())
        if not word:
            continue
        if any(unicodedata.category(c) == "Cc" for c in word):
            raise DataError(f"{name}, line {number}: the word {word!r} has a control character")
        try:
            value = float(count) if count.strip() else 1.0
        except ValueError:
            raise DataError(
                f"{name}, line {number}: {count.strip()!r} isn't a count; expected word<TAB>count"
            ) from None
        if not 0 < value < float("inf"):
            raise DataError(f"{name}, line {number}: the count is {value}; expected more than 0")
        word = normalise(word)
        counts[word] = counts.get(word, 0.0) + value
    if not counts:
        raise DataError(f"{name} has no words; expected lines of word<TAB>count")
    return WordList(list(counts), np.array(list(counts.values())))


def _word_and_count(line: str) -> tuple[str, str]:
    word, tab, count = line.rpartition("\t")
    if tab:
        return word.strip(), count
    word, _, count = line.rpartition(" ")
    return (word.strip(), count) if word and _COUNT.fullmatch(count) else (line, "")


@lru_cache(maxsize=1)
def _installed() -> WordList:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError(
            f"the word list comes with the package {_PACKAGE}, which is not installed; "
            f"pip install {_PACKAGE}, or name a file of your own with --words"
        )
    text = (Path(spec.origin).parent / _FILE).read_text(encoding="utf-8-sig")
    return parse_words(text, _FILE)
