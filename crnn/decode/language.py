"""A character language model as tables: what the next character is worth after those before it.

An interpolated Witten–Bell n-gram (Witten & Bell 1991; Chen & Goodman 1998), pruned as Stolcke
(1998, "Entropy-based pruning of backoff language models") does, by what leaving a count out costs.
Letters count the same in any case: case is for the picture to tell. Each history that has counts of
its own is a *state*; a table has a row for each, with the log-probability of every next class and
the state after it, so that a beam takes one look-up a character.

Shape suffixes: S states, E counts that were kept, V classes: 0 for where a text begins and ends,
one for each folded character, the last one for all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from crnn.errors import DataError
from crnn.text.charset import Charset, normalise

_EDGE = 0
MOST_ORDER = 7
_MOST_CHARACTERS = 250
_LEAST = 1e-6
"""Share of a state's probability that is always left for unseen characters, despite rounding."""


def folded(character: str) -> str:
    """The character that stands for this one in any case; itself where there isn't just one."""
    small = character.lower()
    return small if len(small) == 1 else character


def _numbered(characters: str) -> dict[str, int]:
    """The class of each of these folded characters."""
    return {c: i for i, c in enumerate(characters, 1)}


def _classes(text: str, numbers: dict[str, int]) -> list[int]:
    """The class of each character of ``text``; one for all that have no number."""
    return [numbers.get(folded(c), len(numbers) + 1) for c in text]


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageModel:
    """``fit`` makes one of texts, ``from_bytes`` reads one."""

    characters: str
    """Folded, in the order of their classes, from 1."""
    order: int
    """Characters of the longest history, plus one."""
    keys: NDArray[np.int64]
    """S, of each state: its history as a number of base V, the last character lowest; by length,
    then by value."""
    lengths: NDArray[np.uint8]
    """S, characters of each history."""
    backoff: NDArray[np.float32]
    """S, natural log of the factor for what the next shorter history says."""
    starts: NDArray[np.int32]
    """S + 1: state s owns the counts ``starts[s]`` up to ``starts[s + 1]``."""
    classes: NDArray[np.uint8]
    """E."""
    log_probabilities: NDArray[np.float16]
    """E, natural logs."""

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        characters: str,
        order: int = 6,
        least: int = 2,
        prune: float = 1.0,
    ) -> LanguageModel:
        """Count the n-grams of ``texts``.

        Args:
            texts: at least one; weights are how often a text occurs.
            characters: of the charset that will be read; others in ``texts`` count as one class.
            least: counts of histories of two characters and more that are lower are left out.
            prune: and those that are worth fewer nats over all texts; 0 leaves out none.

        Raises:
            ValueError: when there is no text, ``order`` isn't 1 to 7, or there are over 250
                characters.
        """
        known = "".join(dict.fromkeys(folded(c) for c in characters))
        if not 1 <= order <= MOST_ORDER:
            raise ValueError(f"order is {order}; expected 1 (characters alone) to {MOST_ORDER}")
        if len(known) > _MOST_CHARACTERS:
            raise ValueError(
                f"the charset has {len(known):,} characters, ignoring case; a language model "
                f"takes at most {_MOST_CHARACTERS}"
            )
        ids, places = _edged(texts, known)
        levels, lower, base = [], None, len(known) + 2
        for length in range(order):
            lower = _Level.count(ids, places, length, base, lower)
            levels.append(lower)
        return _pruned(known, order, levels, least, prune)

    @property
    def num_classes(self) -> int:
        """V."""
        return len(self.characters) + 2

    @cached_property
    def tables(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """``SV`` log-probabilities, and ``SV`` the state that follows; state 0 knows nothing."""
        return _tables(self)

    @cached_property
    def begin(self) -> int:
        """The state in which a text begins."""
        return int(self.tables[1][0, _EDGE])

    def classes_of(self, charset: Charset) -> NDArray[np.int64]:
        """The class here of each class id of ``charset``; of the blank 0, which is never asked."""
        return np.array([0, *_classes(charset.characters, _numbered(self.characters))])

    def log_probability(self, text: str) -> float:
        """Natural log of the probability of the whole text, its end included."""
        log_SV, next_SV = self.tables
        state, total = self.begin, 0.0
        for one in _classes(normalise(text), _numbered(self.characters)):
            total += float(log_SV[state, one])
            state = int(next_SV[state, one])
        return total + float(log_SV[state, _EDGE])

    def to_bytes(self) -> bytes:
        """A safetensors file; the same model gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "backoff": self.backoff,
            "classes": self.classes,
            "keys": self.keys,
            "lengths": self.lengths,
            "log_probabilities": self.log_probabilities,
            "starts": self.starts,
        }
        about = json.dumps({"characters": self.characters, "order": self.order})
        return safetensors.numpy.save(arrays, metadata={"language": about})

    @classmethod
    def from_bytes(cls, data: bytes) -> LanguageModel:
        """The inverse of ``to_bytes``.

        Raises:
            DataError: when it is no such file, or what it holds doesn't fit together.
        """
        try:
            arrays = safetensors.numpy.load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            about = json.loads(header["__metadata__"]["language"])
            model = cls(characters=str(about["characters"]), order=int(about["order"]), **arrays)
            model._check()
        except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"not a language model: {error}") from error
        return model

    def _check(self) -> None:
        states, counts = len(self.keys), len(self.classes)
        shapes = (len(self.lengths), len(self.backoff), len(self.starts) - 1)
        if not states or shapes != (states,) * 3 or len(self.log_probabilities) != counts:
            raise ValueError(f"{states} histories and {counts} counts don't go with the others")
        steps = np.diff(self.starts)
        if self.starts[0] != 0 or self.starts[-1] != counts or (steps < 0).any():
            raise ValueError("the bounds of its counts are out of order")
        if counts and self.classes.max() >= self.num_classes:
            raise ValueError(f"a class is {self.classes.max()}; expected under {self.num_classes}")
        if self.lengths[0] or (np.diff(self.lengths.astype(np.int16)) < 0).any():
            raise ValueError("its histories are out of order")
        if not np.isfinite(self.log_probabilities).all() or np.isnan(self.backoff).any():
            raise ValueError("it has values that are no numbers")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Level:
    """All counts after histories of one length."""

    grams: NDArray[np.int64]
    """Sorted: the history's key times V, plus the class."""
    counts: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    shorter: NDArray[np.float64]
    """What the next shorter history gives it."""

    @classmethod
    def count(
        cls,
        ids: NDArray[np.int64],
        places: NDArray[np.int64],
        length: int,
        base: int,
        lower: _Level | None,
    ) -> _Level:
        ends = np.flatnonzero(places >= max(length, 1))
        grams = np.zeros(len(ends), dtype=np.int64)
        for back in range(length, -1, -1):
            grams = grams * base + ids[ends - back]
        grams, counts = np.unique(grams, return_counts=True)
        _, first, kinds = np.unique(grams // base, return_index=True, return_counts=True)
        totals = np.repeat(np.add.reduceat(counts, first), kinds)
        kinds = np.repeat(kinds, kinds)
        if lower is None:
            shorter = np.full(len(grams), 1 / base)
        else:
            shorter = lower.probabilities[np.searchsorted(lower.grams, grams % base**length)]
        return cls(
            grams=grams,
            counts=counts,
            probabilities=(counts + kinds * shorter) / (totals + kinds),
            shorter=shorter * kinds / (totals + kinds),
        )


def _edged(texts: Iterable[str], known: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes of all texts in a row, an edge before and after each; and places within a text."""
    numbers = _numbered(known)
    ids: list[int] = []
    lengths: list[int] = []
    for text in map(normalise, texts):
        ids += [_EDGE, *_classes(text, numbers), _EDGE]
        lengths.append(len(text) + 2)
    if not lengths:
        raise ValueError("there are no texts to count; give at least one")
    starts = np.cumsum([0, *lengths[:-1]])
    return np.array(ids), np.arange(len(ids)) - np.repeat(starts, lengths)


def _pruned(
    characters: str, order: int, levels: list[_Level], least: int, prune: float
) -> LanguageModel:
    base = len(characters) + 2
    keys, lengths, starts, classes, logs = [], [], [0], [], []
    for length, level in enumerate(levels):
        gain = level.counts * (np.log(level.probabilities) - np.log(level.shorter))
        kept = np.ones(len(gain), dtype=bool)
        if length:
            kept = gain >= prune
        if length >= 2:
            kept &= level.counts >= least
        histories, counted = np.unique(level.grams[kept] // base, return_counts=True)
        keys.append(histories)
        lengths.append(np.full(len(histories), length, dtype=np.uint8))
        starts += (starts[-1] + np.cumsum(counted)).tolist()
        classes.append((level.grams[kept] % base).astype(np.uint8))
        logs.append(np.log(level.probabilities[kept]).astype(np.float16))
    model = LanguageModel(
        characters=characters,
        order=order,
        keys=np.concatenate(keys),
        lengths=np.concatenate(lengths),
        backoff=np.zeros(sum(map(len, keys)), dtype=np.float32),
        starts=np.array(starts, dtype=np.int32),
        classes=np.concatenate(classes),
        log_probabilities=np.concatenate(logs),
    )
    _normalise(model)
    return model


def _normalise(model: LanguageModel) -> None:
    """Set ``backoff`` so that each state's probabilities sum to 1."""
    rows_SV = np.zeros((len(model.keys), model.num_classes))
    for states, shorter, own, of in _by_length(model):
        base_SV = rows_SV[shorter] if shorter is not None else _uniform(model)
        named = np.zeros((len(states), model.num_classes), dtype=bool)
        named[of, model.classes[own]] = True
        p = np.exp(model.log_probabilities[own].astype(np.float64))
        rest = 1 - np.bincount(of, p, minlength=len(states))
        free = (base_SV * ~named).sum(axis=1)
        factor = np.maximum(rest, _LEAST) / np.maximum(free, _LEAST)
        model.backoff[states] = np.log(factor)
        row_SV = base_SV * factor[:, None]
        row_SV[of, model.classes[own]] = p
        rows_SV[states] = row_SV


def _uniform(model: LanguageModel) -> NDArray[np.float64]:
    return np.full((1, model.num_classes), 1 / model.num_classes)


def _by_length(
    model: LanguageModel,
) -> Iterable[
    tuple[
        NDArray[np.int64],
        NDArray[np.int64] | None,
        NDArray[np.int64],
        NDArray[np.int64],
    ]
]:
    """For each length of history: its states, their next shorter states (None: there is none), the
    counts they own, and of which of these states each count is."""
    base = model.num_classes
    found: dict[int, NDArray[np.int64]] = {}
    for length in range(int(model.lengths[-1]) + 1):
        states = np.flatnonzero(model.lengths == length)
        found[length] = model.keys[states]
        if not len(states):
            continue
        shorter = None
        if length:
            shorter = np.zeros(len(states), dtype=np.int64)
            for tail in range(1, length):  # the longest that is a state wins, hence comes last
                key = model.keys[states] % base**tail
                place = np.searchsorted(found[tail], key)
                place = np.minimum(place, max(len(found[tail]) - 1, 0))
                if not len(found[tail]):
                    continue
                there = found[tail][place] == key
                first = int(np.searchsorted(model.lengths, tail))
                shorter[there] = first + place[there]
        counted = np.diff(model.starts)[states]
        own = np.arange(model.starts[states[0]], model.starts[states[-1] + 1])
        yield states, shorter, own, np.repeat(np.arange(len(states)), counted)


def _tables(model: LanguageModel) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    base = model.num_classes
    log_SV = np.empty((len(model.keys), base), dtype=np.float32)
    next_SV = np.zeros((len(model.keys), base), dtype=np.int32)
    for states, shorter, own, of in _by_length(model):
        length = int(model.lengths[states[0]])
        if shorter is None:
            log_SV[states] = np.log(_uniform(model)) + model.backoff[states, None]
        else:
            log_SV[states] = log_SV[shorter] + model.backoff[states, None]
            next_SV[states] = next_SV[shorter]
        log_SV[states[of], model.classes[own]] = model.log_probabilities[own]
        longer = np.flatnonzero(model.lengths == length + 1)
        if not len(longer):
            continue
        parents = model.keys[longer] // base
        place = np.minimum(np.searchsorted(model.keys[states], parents), len(states) - 1)
        there = model.keys[states][place] == parents
        next_SV[states[place[there]], model.keys[longer[there]] % base] = longer[there]
    return log_SV, next_SV
