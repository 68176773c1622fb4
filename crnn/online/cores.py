"""Whether this machine has idle cores."""

from __future__ import annotations

import time

import psutil

_PERIOD_S = 0.25
_RESTING_CORES = 0.25
"""From here on a core counts as idle: less are the gaps in other work."""


class Cores:
    """When called, tells whether cores were idle in the last moments."""

    def __init__(self) -> None:
        psutil.cpu_percent()
        self._rest = True
        self._looked_s = time.monotonic()

    def __call__(self) -> bool:
        """As of a quarter of a second ago at most, or since the last call."""
        if time.monotonic() - self._looked_s >= _PERIOD_S:
            self._looked_s = time.monotonic()
            resting = (1 - psutil.cpu_percent() / 100) * (psutil.cpu_count() or 1)
            self._rest = resting >= _RESTING_CORES
        return self._rest
