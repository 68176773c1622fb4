"""A character n-gram language model with Witten–Bell interpolation, kept as JSON counts.

Witten & Bell (1991), "The zero-frequency problem", in the interpolated form of Chen & Goodman
(1998): a history's own counts and the next shorter history's probabilities are mixed by how
many different characters were seen to follow it.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from crnn.brief import brief
from crnn.errors import DataError
from crnn.files import storage
from crnn.text.charset import normalise

BEGIN, END, UNKNOWN = "\ufdd0", "\ufdd1", "\ufdd2"
"""Marks beside the characters: Unicode noncharacters, which no text has."""
FORMAT_VERSION = 1


class CharNgram:
    """Probabilities of the next character given the ``order - 1`` before it.

    For every history the probabilities of the ``vocabulary``, of ``END`` and of ``UNKNOWN``
    (any other character) sum to 1, and none is 0. The start of the text counts as history.
    """

    def __init__(
        self, order: int, vocabulary: str, counts: Mapping[str, Mapping[str, int]]
    ) -> None:
        """From ``counts[history][next character]``; ``train`` and ``load`` are the usual ways.

        Raises:
            ValueError: when ``order`` is under 1, or a count is not positive or is of something
                that can't be there.
        """
        if order < 1:
            raise ValueError(f"order is {order}; expected at least 1 (characters alone)")
        self.order = order
        self.vocabulary = "".join(sorted(set(vocabulary)))
        self._counts = {history: dict(following) for history, following in counts.items()}
        self._classes = frozenset({*self.vocabulary, END, UNKNOWN})
        self._check_counts()
        self._totals = {h: sum(following.values()) for h, following in self._counts.items()}

    @classmethod
    def train(cls, texts: Iterable[str], *, order: int = 5, characters: str = "") -> CharNgram:
        """Count every text (NFC), its start and its end.

        Args:
            texts: At least one; empty ones count as such.
            order: Length of the longest history, plus one.
            characters: Joins the vocabulary though ``texts`` may lack it, e.g. the charset's.

        Raises:
            ValueError: when there is no text, or ``order`` is under 1.
        """
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        seen = set(characters)
        for text in map(normalise, texts):
            seen.update(text)
            padded = BEGIN * (order - 1) + text + END
            for i in range(order - 1, len(padded)):
                for length in range(order):
                    counts[padded[i - length : i]][padded[i]] += 1
        if not counts and order >= 1:
            raise ValueError("there are no texts to train the n-gram on; give at least one")
        return cls(order, "".join(seen), counts)

    def probability(self, character: str, history: str) -> float:
        """Probability, over 0, that ``character`` (or ``END``) follows the text ``history``."""
        span = self.order - 1
        return self._mixed(character, (BEGIN * span + history)[-span:] if span else "")

    def _mixed(self, character: str, recent: str) -> float:
        """Probability after the at most ``order - 1`` characters ``recent``."""
        if character not in self._classes:
            character = UNKNOWN
        mixed = 1 / len(self._classes)
        for start in range(len(recent), -1, -1):
            following = self._counts.get(recent[start:])
            if following is None:  # then no longer history was seen either
                break
            kinds, total = len(following), self._totals[recent[start:]]
            mixed = (following.get(character, 0) + kinds * mixed) / (total + kinds)
        return mixed

    def log_probability(self, character: str, history: str) -> float:
        """Natural log of ``probability``."""
        return math.log(self.probability(character, history))

    def end_log_probability(self, text: str) -> float:
        """Natural log of the probability that the text ends after ``text``."""
        return self.log_probability(END, text)

    def text_log_probability(self, text: str) -> float:
        """Natural log of the probability of the whole text, its end included."""
        steps = (self.log_probability(text[i], text[:i]) for i in range(len(text)))
        return sum(steps) + self.end_log_probability(text)

    def piece_log_probability(self, text: str) -> float:
        """Natural log of the probability of ``text`` as a piece of one that began before it."""
        span = self.order - 1
        return sum(
            math.log(self._mixed(text[i], text[max(0, i - span) : i])) for i in range(len(text))
        )

    def save(self, uri: str) -> None:
        """Write the counts as one JSON file to a path or an object store."""
        content = {
            "format_version": FORMAT_VERSION,
            "order": self.order,
            "vocabulary": self.vocabulary,
            "counts": self._counts,
        }
        storage.write_bytes(str(uri), json.dumps(content, sort_keys=True).encode())

    @classmethod
    def load(cls, uri: str) -> CharNgram:
        """The inverse of ``save``.

        Raises:
            DataError: when there is no such file, or it is not an n-gram of this format, naming it.
        """
        try:
            data = storage.read_bytes(str(uri))
        except FileNotFoundError:
            raise DataError(f"the n-gram {uri} is missing: there is no such file") from None
        try:
            content = json.loads(data)
            if content["format_version"] != FORMAT_VERSION:
                raise ValueError(
                    f"its format version is {content['format_version']!r}, "
                    f"this release reads {FORMAT_VERSION}"
                )
            return cls(content["order"], content["vocabulary"], content["counts"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{uri} is not a usable n-gram ({brief(error)}); expected the JSON that "
                "crnn ngram writes: make it again"
            ) from error

    def _check_counts(self) -> None:
        for history, following in self._counts.items():
            bad = {
                c: n
                for c, n in following.items()
                if c not in self._classes or not isinstance(n, int) or n < 1
            }
            if len(history) >= self.order or bad or not following:
                raise ValueError(
                    f"counts after {history!r} are {bad or following}; expected positive counts "
                    f"of the vocabulary after at most {self.order - 1} characters"
                )
