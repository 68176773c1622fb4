"""What one read of a file gives: its bytes, and what tells their version from another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Content(NamedTuple):
    """A file as it was when it was read."""

    data: bytes
    """All of it, or its first bytes."""
    size: int
    """Of the whole file, bytes."""
    mtime_ns: int | None
    """When it was written last, ns since 1970; None where the store doesn't say."""
    etag: str = ""
    """The store's own mark of this version, without quotes; empty where there is none."""


def ns_of(when: datetime) -> int:
    """ns since 1970 of a time with its zone, exact to the microsecond."""
    return (when - _EPOCH) // _MICROSECOND * 1000
