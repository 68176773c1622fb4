"""Which inputs were planned before, in which version: 16 to 48 bytes for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pipelines.recognition.inputs import NO_KEYS, Keys, among, places, versions

REPLACES = pa.field("replaces", pa.bool_())
"""Whether there may be an older row of this input."""
_MERGE_KEYS = 1 << 16


class Known:
    """Inputs of the plans there are, and those that came by in this run."""

    def __init__(self, newest_first: Iterable[Iterable[pa.Table]]) -> None:
        self._places = self._versions = NO_KEYS
        """Sorted: every place, and the version of it that was planned last."""
        for plan in newest_first:
            found = [(places(table), versions(table)) for table in plan]
            last = [~among(place, self._places) for place, _ in found]
            self._versions = _merged(
                self._versions, *(v[new] for (_, v), new in zip(found, last, strict=True))
            )
            self._places = _merged(
                self._places, *(p[new] for (p, _), new in zip(found, last, strict=True))
            )
        self._taken = NO_KEYS
        self._taken_lately: set[bytes] = set()

    def fresh(self, page: pa.Table) -> pa.Table:
        """Its rows in a version not known and not taken before, with ``REPLACES``."""
        place = places(page)
        new = ~among(versions(page), self._versions) & ~among(place, self._taken)
        for row in np.flatnonzero(new):
            key = bytes(place[row])
            new[row] = key not in self._taken_lately
            self._taken_lately.add(key)
        if len(self._taken_lately) >= _MERGE_KEYS:
            self._taken = _merged(self._taken, np.array([*self._taken_lately], NO_KEYS.dtype))
            self._taken_lately.clear()
        replaces = pa.array(among(place, self._places))
        return page.append_column(REPLACES, replaces).filter(pa.array(new))


def _merged(*parts: Keys) -> Keys:
    return np.sort(np.concatenate(parts))
