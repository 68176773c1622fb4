"""Lexicon decoding: of a list of words, the one that is most probable under CTC.

Short lists are scored whole. Of long ones only the near neighbours of the greedy text are
(Shi et al. 2015, section 2.3.2, who find them with a BK-tree). Shape suffixes: T time steps,
N batch, C classes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from torch import Tensor

from crnn.brief import brief
from crnn.decode.alignment import align
from crnn.decode.decoded import Decoded, check_log_probs
from crnn.decode.greedy import best_path_runs
from crnn.errors import CharsetError, DataError
from crnn.files import storage
from crnn.model import ctc
from crnn.text.charset import Charset, normalise

log = logging.getLogger(__name__)
_TEXTS_AT_ONCE = 64
_WORDS_NAMED = 10
_CHARSETS_KEPT = 2


@dataclass(frozen=True)
class _Writable:
    """The words that one charset can write, and their class ids."""

    charset: Charset
    words: list[str]
    """As the list has them; their letters may be of another case than the charset's."""
    targets: list[list[int]]
    seen: list[str]
    """As they stand in a picture, in the charset's characters."""


class LexiconDecoder:
    """Chooses the most probable of ``words``; the earlier one of equals.

    A letter whose case the charset lacks is looked for in the other case; the word comes back as
    the list has it.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        exhaustive_words: int = 300,
        max_distance: int = 3,
        max_neighbours: int = 300,
    ) -> None:
        """Prepare a list, in which the empty word is legal and repeated ones count once.

        Args:
            words: At least one; brought to NFC.
            exhaustive_words: Lists up to this length are scored whole.
            max_distance: Levenshtein distance from the greedy text within which words of longer
                lists are scored; if none is that near, the nearest ones are.
            max_neighbours: Maximum number of words scored for a sample, nearest first.

        Raises:
            ValueError: for an empty list, a single string, or a limit that leaves nothing.
        """
        if isinstance(words, str) or not words:
            raise ValueError(f"the lexicon is {words!r}; expected a list of at least one word")
        if exhaustive_words < 0 or max_distance < 0 or max_neighbours < 1:
            raise ValueError(
                f"exhaustive_words is {exhaustive_words}, max_distance {max_distance} and "
                f"max_neighbours {max_neighbours}; expected at least 0, 0 and 1"
            )
        self._words = list(dict.fromkeys(map(normalise, words)))
        self._exhaustive_words = exhaustive_words
        self._max_distance = max_distance
        self._max_neighbours = max_neighbours
        self._known: list[_Writable] = []
        """Cache for the last charsets: a cascade has two."""

    def __call__(self, log_probs_TNC: Tensor, charset: Charset) -> list[Decoded]:
        """The most probable word for each sample.

        A word that needs more than T time steps has log-probability ``-inf``; it is chosen only
        when all that were scored do.

        Raises:
            CharsetError: when the charset can write none of the words.
            ValueError: for log-probabilities of another shape, type or device than float32
                ``T,N,C`` on the CPU.
        """
        log_probs_TNC = check_log_probs(log_probs_TNC, charset)
        if log_probs_TNC.shape[1] == 0:
            return []
        writable = self._writable(charset)
        targets, exact, words = [], [], []
        for n, candidates in enumerate(self._candidates(log_probs_TNC, writable)):
            scored = [writable.targets[i] for i in candidates]
            scores = ctc.log_probabilities(log_probs_TNC[:, n : n + 1], scored)
            best = int(scores.argmax())
            targets.append(scored[best])
            exact.append(float(scores[best]))
            words.append(writable.words[candidates[best]])
        return align(log_probs_TNC, targets, exact, charset, words)

    def ready_for(self, charset: Charset) -> None:
        """Do now what the first call with this charset would do: seconds for the longest lists.

        Raises:
            CharsetError: when the charset can write none of the words.
        """
        self._writable(charset)

    def _candidates(self, log_probs_TNC: Tensor, writable: _Writable) -> list[Sequence[int]]:
        """Positions in ``writable.words`` of what is to be scored for each sample."""
        if len(writable.words) <= self._exhaustive_words:
            return [range(len(writable.words))] * log_probs_TNC.shape[1]
        targets = best_path_runs(log_probs_TNC).targets()
        texts = [writable.charset.seen(target) for target in targets]
        found: list[Sequence[int]] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = texts[start : start + _TEXTS_AT_ONCE]
            scorer = Levenshtein.distance
            found += map(self._nearest, cdist(some, writable.seen, scorer=scorer, dtype=np.uint16))
        return found

    def _nearest(self, distances: NDArray[np.uint16]) -> list[int]:
        """Positions of the words within ``max_distance``, else of all that are nearest."""
        near = np.flatnonzero(distances <= max(self._max_distance, distances.min()))
        order = np.argsort(distances[near], kind="stable")[: self._max_neighbours]
        return np.sort(near[order]).tolist()

    def _writable(self, charset: Charset) -> _Writable:
        known = next((one for one in self._known if one.charset == charset), None)
        if known is None:
            known = self._made_writable(charset)
            self._known = [known, *self._known[: _CHARSETS_KEPT - 1]]
        return known

    def _made_writable(self, charset: Charset) -> _Writable:
        folded = {word: charset.in_known_case(word) for word in self._words}
        kept: dict[str, str] = {}
        for word, writable in folded.items():
            if writable is not None and (writable not in kept or word == writable):
                kept[writable] = word
        if not kept:
            missing = charset.unknown("".join(self._words))[:20]
            raise CharsetError(
                f"none of the lexicon's {len(self._words)} words can be written with the "
                f"charset's {len(charset.characters)} characters; it lacks {missing!r}"
            )
        skipped = [word for word, writable in folded.items() if writable is None]
        if skipped:
            log.warning(
                "lexicon: %d of %d words are never read, as the charset can't write them: %s",
                len(skipped),
                len(folded),
                ", ".join(map(brief, skipped[:_WORDS_NAMED])),
            )
        targets = list(map(charset.encode, kept))
        seen = list(map(charset.seen, targets))
        return _Writable(charset, list(kept.values()), targets, seen)


def read_lexicon(uri: str) -> list[str]:
    """The words of a UTF-8 file, one a line, empty lines left out.

    Raises:
        DataError: when it is missing, not UTF-8, or has no words.
    """
    words = read_lines(uri, "lexicon")
    if not words:
        raise DataError(f"the lexicon {uri} has no words; expected one a line")
    return words


def read_lines(uri: str, what: str) -> list[str]:
    """The lines of a UTF-8 file (NFC, without the spaces around them), empty ones left out.

    Raises:
        DataError: when it is missing or not UTF-8; ``what`` is what it is called.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"the {what} {uri} is missing: there is no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"the {what} {uri} is not UTF-8: {error}") from error
    return [normalise(line.strip()) for line in text.splitlines() if line.strip()]
