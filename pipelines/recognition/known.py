"""Which inputs were planned before, in which version: 16 to 48 bytes for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.keys import NO_KEYS, Keys, KeySet
from pipelines.recognition.inputs import places, versions

REPLACES = pa.field("replaces", pa.bool_())
"""Whether there may be an older row of this input."""


class Known:
    """Inputs of the plans there are, and those that came by in this run."""

    def __init__(self, newest_first: Iterable[Iterable[pa.Table]], *, rounds: bool = False) -> None:
        """``rounds``: there will be a ``next_round``, so what is fresh is remembered."""
        self._rounds = rounds
        self._places, self._versions = KeySet(), KeySet()
        """Every place, and the version of it that was planned last."""
        for plan in newest_first:
            found = [(places(table), versions(table)) for table in plan]
            last = [~self._places.has(place) for place, _ in found]
            for keys, kind in ((self._places, 0), (self._versions, 1)):
                new = [pair[kind][mask] for pair, mask in zip(found, last, strict=True)]
                keys.add(np.concatenate([NO_KEYS, *new]))
        self._changed: dict[bytes, bytes] = {}
        """The version planned last of places that had another one; only ``next_round`` fills it."""
        self._taken = KeySet()
        self._fresh: list[tuple[Keys, Keys]] = []

    def fresh(self, page: pa.Table) -> pa.Table:
        """Its rows in a version not known and not taken before, with ``REPLACES``."""
        place, version = places(page), versions(page)
        new = self._is_new(place, version)
        new[new] = self._taken.take(place[new])
        replaces = pa.array(self._places.has(place))
        if self._rounds:
            self._fresh.append((place[new], version[new]))
        return page.append_column(REPLACES, replaces).filter(pa.array(new))

    def has(self, page: pa.Table) -> NDArray[np.bool_]:
        """Which of its rows were planned before, in whatever version."""
        return self._places.has(places(page))

    def new(self, page: pa.Table) -> NDArray[np.bool_]:
        """Which of its rows are in another version than the one planned last, or in none."""
        return self._is_new(places(page), versions(page))

    def _is_new(self, place: Keys, version: Keys) -> NDArray[np.bool_]:
        new = ~self._versions.has(version)
        if self._changed:
            for at, key in enumerate(place.tolist()):
                last = self._changed.get(key)
                new[at] = new[at] if last is None else last != version[at]
        return new

    def next_round(self) -> None:
        """What ``fresh`` gave is planned; what is listed from here on may have changed since."""
        for place, version in self._fresh:
            again = self._places.has(place)
            self._changed.update(zip(place[again].tolist(), version[again].tolist(), strict=True))
            self._places.add(place[~again])
            self._versions.add(version[~again])
        self._fresh.clear()
        self._taken = KeySet()
