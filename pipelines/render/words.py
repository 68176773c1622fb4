"""Word lists with frequencies: one that comes with an installed package, or the user's own file.

The default are the 82,765 words of ``symspellpy`` (MIT): words of SCOWL with their counts in the
Google Books Ngrams (CC BY 3.0). Those of some forty languages come with ``wordfreq`` (Speer 2022,
doi:10.5281/zenodo.7199437; Apache-2.0, its data CC BY-SA 4.0), in small letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from crnn.errors import DataError
from crnn.files import storage
from crnn.text.charset import normalise

_PACKAGE = "symspellpy"
_FILE = "frequency_dictionary_en_82_765.txt"
_LINE_END = re.compile(r"\r\n|\r|\n")
_COUNT = re.compile(r"\d+\.?\d*|\.\d+")
_MOST_OF_A_LANGUAGE = 60_000
"""Words of a language, the most frequent ones."""
_DOTTED_CAPITALS = ("az", "tr")
_SHARP = re.compile(
    "(au(?=sse[nr])|äu(?=sse)|blo|drei|flei|flie|fu|gie|gro|gru|grö|grü|hei|rei|schlie|spa|sto|stra"
    "|stö|sü|wei)ss"
)
"""Frequent stems of German with ß; the list has all of them with ss."""
WORD_POWER = 0.65
"""A word is drawn as often as its count to this power: 1 as in print, 0 all as often."""


@dataclass(frozen=True, eq=False)
class WordList:
    """Distinct words with their counts."""

    words: Sequence[str]
    counts: NDArray[np.float64]
    of_languages: bool = False
    """Whether they go with other letters and marks than ASCII's, where a charset has them."""

    def only(self, wanted: Callable[[str], bool]) -> WordList:
        """Those of the words that are wanted."""
        places = [i for i, word in enumerate(self.words) if wanted(word)]
        words = [self.words[i] for i in places]
        return replace(self, words=words, counts=self.counts[places])

    def drawer(self, power: float = WORD_POWER) -> Callable[[Generator], str]:
        """A function that draws words, each as often as its count to the power of ``power``."""
        limits = np.cumsum(self.counts**power)
        words, total = self.words, float(limits[-1])
        return lambda rng: words[int(np.searchsorted(limits, rng.random() * total, side="right"))]


def load_words(uri: str = "", languages: tuple[str, ...] = ()) -> WordList:
    """The words of a file of lines ``word<TAB>count`` (count 1 where there is none).

    Without ``uri`` those of ``languages``, by their codes, all as often, ``en:3`` three times as
    often as the others; without these the English list that is installed. A word may have spaces
    in it: ``New York<TAB>5``. A space may stand for the tab, before a number that ends the line.

    Raises:
        DataError: when the file is missing, has no word, a count that is none, or a word with a
            control character; for a language that there is no list of, or a weight that is none.
    """
    if languages:
        return _of_languages(languages)
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


@lru_cache(maxsize=2)
def _of_languages(languages: tuple[str, ...]) -> WordList:
    """The frequent words of each, numbers left out; a word of several languages adds up."""
    from wordfreq import available_languages, cB_to_freq, get_frequency_list

    weights = dict(map(_weighted, languages))
    unknown = [language for language in weights if language not in available_languages()]
    if unknown:
        raise DataError(
            f"--languages has {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(sorted(available_languages()))}; name a file of your own with --words"
        )
    found: dict[str, float] = {}
    for language, weight in weights.items():
        listed = enumerate(get_frequency_list(language, wordlist="best"))  # by centibels below 1
        words = (
            (normalise(word), cB_to_freq(-centibels))
            for centibels, alike in listed
            for word in alike
            if not any(map(str.isnumeric, word))
        )
        ours = list(islice(words, _MOST_OF_A_LANGUAGE))
        total = sum(frequency for _, frequency in ours) / weight ** (1 / WORD_POWER)
        for word, frequency in ours:
            for cased in _cased(word, language):
                found[cased] = found.get(cased, 0.0) + frequency / total
    least = min(found.values())
    counts = np.array(list(found.values())) / least
    return WordList(list(found), counts, of_languages=True)


def _weighted(language: str) -> tuple[str, float]:
    """The code and the weight of ``en:3``, or of ``en``, which weighs 1."""
    code, colon, text = language.partition(":")
    try:
        weight = float(text) if colon else 1.0
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise DataError(
            f"--languages has {language!r}; expected a language or language:WEIGHT, such as en:3, "
            "with a weight above 0"
        )
    return code, weight


def _cased(word: str, language: str) -> tuple[str, ...]:
    """The word as it is spelled, which the list has in letters without case, and where small i and
    capital I are no pair, in its capitals too."""
    if language in _DOTTED_CAPITALS and "i" in word:
        return word, word.replace("i", "İ").upper()
    if language == "el" and word.endswith("σ"):
        return (f"{word[:-1]}ς",)
    if language == "de" and "ss" in word:
        return (_SHARP.sub(r"\1ß", word),)
    return (word,)


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
