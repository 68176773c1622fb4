"""Sixteen bytes that stand for a text, and sets of them: what came by before, of many millions.

They look random, and are the same on every machine and in every run. No output has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.bytes_]
_KEY_BYTES = 16
NO_KEYS: Keys = np.empty(0, dtype=f"S{_KEY_BYTES}")


class KeySet:
    """A set that grows: sorted runs, each more than twice as long as the next.

    The logarithmic method (Bentley & Saxe 1980): n keys are merged about log n times in all. They
    take 16 bytes each, and for a moment as much again.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """For each of ``keys`` whether it is in the set."""
        found = np.zeros(len(keys), dtype=np.bool_)
        for run in self._runs:
            found |= among(keys, run)
        return found

    def add(self, keys: Keys) -> None:
        """Takes them in; one that comes twice takes its room twice."""
        if not len(keys):
            return
        run = np.sort(keys)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")
        self._runs.append(run)

    def take(self, keys: Keys) -> NDArray[np.bool_]:
        """Takes in those that are new, and tells which: the first one of equal ones."""
        new = np.zeros(len(keys), dtype=np.bool_)
        new[np.unique(keys, return_index=True)[1]] = True
        new &= ~self.has(keys)
        self.add(keys[new])
        return new


def key(text: str) -> bytes:
    """The bytes that stand for ``text`` (BLAKE2b)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def hashed(texts: Iterable[str]) -> Keys:
    """The key of each text."""
    return np.fromiter(map(key, texts), dtype=NO_KEYS.dtype)


def among(keys: Keys, known: Keys) -> NDArray[np.bool_]:
    """Which of ``keys`` are in ``known``, which is sorted."""
    if not len(known):
        return np.zeros(len(keys), dtype=np.bool_)
    found: NDArray[np.bool_] = known[position(keys, known)] == keys
    return found


def position(keys: Keys, known: Keys) -> NDArray[np.intp]:
    """Where each of ``keys`` is in ``known``, sorted and not empty, if it is there."""
    return np.searchsorted(known, keys).clip(max=len(known) - 1)
