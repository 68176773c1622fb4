"""Which ids came by before, in 16 bytes for each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_KEY_BYTES = 16
_RUN_KEYS = 1 << 14


class Seen:
    """A growing set of ids, as hashes in sorted runs, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.bytes_]] = []
        self._fresh: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._fresh) + sum(map(len, self._runs))

    def add(self, ids: Sequence[str]) -> list[bool]:
        """Takes them in; for each one whether it is new."""
        keys = hashed(ids)
        before = self._among_runs(keys)
        new = []
        for key, known in zip(keys.tolist(), before.tolist(), strict=True):
            is_new = not known and key not in self._fresh
            if is_new:
                self._fresh.add(key)
            new.append(is_new)
        if len(self._fresh) >= _RUN_KEYS:
            self._settle()
        return new

    def has(self, ids: Sequence[str]) -> list[bool]:
        """For each id whether it was taken in."""
        keys = hashed(ids)
        known = self._among_runs(keys).tolist()
        return [k or key in self._fresh for k, key in zip(known, keys.tolist(), strict=True)]

    def _among_runs(self, keys: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            found |= run[np.searchsorted(run, keys).clip(max=len(run) - 1)] == keys
        return found

    def _settle(self) -> None:
        run = np.sort(np.array([*self._fresh], dtype=f"S{_KEY_BYTES}"))
        self._fresh.clear()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)


def hashed(ids: Sequence[str]) -> NDArray[np.bytes_]:
    """16 bytes that stand for each id (BLAKE2b)."""
    digests = (
        hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
        for id in ids
    )
    return np.fromiter(digests, dtype=f"S{_KEY_BYTES}", count=len(ids))
