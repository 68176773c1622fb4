"""Which inputs were planned before, in which version: 16 to 48 bytes for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.recognition.inputs import NO_KEYS, Keys, among, places, versions

REPLACES = pa.field("replaces", pa.bool_())
"""Whether there may be an older row of this input."""
_RUN_KEYS = 1 << 16


class Known:
    """Inputs of the plans there are, and those that came by in this run."""

    def __init__(self, newest_first: Iterable[Iterable[pa.Table]], *, rounds: bool = False) -> None:
        """``rounds``: there will be a ``next_round``, so what is fresh is remembered."""
        self._rounds = rounds
        self._places, self._versions = _KeySet(), _KeySet()
        """Every place, and the version of it that was planned last."""
        for plan in newest_first:
            found = [(places(table), versions(table)) for table in plan]
            last = [~self._places.has(place) for place, _ in found]
            for keys, kind in ((self._places, 0), (self._versions, 1)):
                new = [pair[kind][mask] for pair, mask in zip(found, last, strict=True)]
                keys.add(np.concatenate([NO_KEYS, *new]))
        self._changed: dict[bytes, bytes] = {}
        """The version planned last of places that had another one; only ``next_round`` fills it."""
        self._taken = _KeySet()
        self._taken_lately: set[bytes] = set()
        self._fresh: list[tuple[Keys, Keys]] = []

    def fresh(self, page: pa.Table) -> pa.Table:
        """Its rows in a version not known and not taken before, with ``REPLACES``."""
        place, version = places(page), versions(page)
        new = ~self._versions.has(version)
        if self._changed:
            for at, key in enumerate(place.tolist()):
                last = self._changed.get(key)
                new[at] = new[at] if last is None else last != version[at]
        new &= ~self._taken.has(place)
        for row in np.flatnonzero(new):
            key = bytes(place[row])
            new[row] = key not in self._taken_lately
            self._taken_lately.add(key)
        if len(self._taken_lately) >= _RUN_KEYS:
            self._taken.add(np.array([*self._taken_lately], NO_KEYS.dtype))
            self._taken_lately.clear()
        replaces = pa.array(self._places.has(place))
        if self._rounds:
            self._fresh.append((place[new], version[new]))
        return page.append_column(REPLACES, replaces).filter(pa.array(new))

    def next_round(self) -> None:
        """What ``fresh`` gave is planned; what is listed from here on may have changed since."""
        for place, version in self._fresh:
            again = self._places.has(place)
            self._changed.update(zip(place[again].tolist(), version[again].tolist(), strict=True))
            self._places.add(place[~again])
            self._versions.add(version[~again])
        self._fresh.clear()
        self._taken = _KeySet()
        self._taken_lately.clear()


class _KeySet:
    """A set that grows: sorted runs, each more than twice as long as the next.

    The logarithmic method (Bentley & Saxe 1980): n keys are sorted about log n times in all.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def add(self, keys: Keys) -> None:
        self._runs.append(np.sort(keys))
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]))]

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """For each of ``keys`` whether it is in the set."""
        found = np.zeros(len(keys), dtype=bool)
        for run in self._runs:
            found |= among(keys, run)
        return found
