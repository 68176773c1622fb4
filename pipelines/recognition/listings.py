"""One listing of the input after another, where the job follows it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa

from crnn.errors import DataError
from pipelines.stores import NothingThereError

LONGEST_PAUSE = 32
"""Longest pause before what failed is tried again, as a multiple of the first; each pause is twice
as long as the one before."""


def _nothing() -> None:
    pass


class InputBatch(NamedTuple):
    """Inputs that are written down together."""

    tables: Iterator[pa.Table]
    since: float | None = None
    """When those that are new had not arrived yet, or the first of them just had, s since 1970;
    None where nobody waited for them."""
    planned: Callable[[], None] = _nothing
    """To be called when they are written down."""


class Listings:
    """A listing that fails, as while a store is down, leaves its trouble; only the first one must
    succeed, and a prefix of a store may be empty."""

    def __init__(
        self, listing: Callable[[], Iterator[pa.Table]], *, is_local: bool, stop: threading.Event
    ) -> None:
        """``stop``: when it is set, tables end."""
        self._listing, self._is_local, self._stop = listing, is_local, stop
        self._begun: Iterator[pa.Table] | None = None
        self.rounds = 0
        """Listings that are over."""
        self.trouble = ""
        """Why the last one failed; empty where it didn't."""

    @property
    def under_way(self) -> bool:
        """Whether one has begun and isn't over."""
        return self._begun is not None

    def tables(self, for_s: float = math.inf) -> Iterator[pa.Table]:
        """Tables of the listing that is under way or begins, for so many seconds at most.

        Raises:
            DataError: when the first listing fails.
        """
        until_s, trouble = time.monotonic() + for_s, ""
        try:
            self._begun = self._begun or self._listing()
            for table in self._begun:
                yield table
                if self._stop.is_set() or time.monotonic() > until_s:
                    return
        except NothingThereError as error:
            if self._is_local:
                trouble = str(error)
        except (DataError, OSError) as error:
            trouble = str(error)
        if trouble and not self.rounds:
            raise DataError(trouble)
        self.trouble, self._begun = trouble, None
        self.rounds += 1
