"""Versions of files as listings tell them, and whether a file is still the same."""

from __future__ import annotations

import re

from crnn.files.content import Content

_SIZE_AND_TIME = re.compile(r"\d{1,15}-\d{10,20}")
_OF_STORES = {
    "s3://": re.compile(r"[0-9a-f]{32}(-\d{1,5})?"),
    "gs://": re.compile(r"[A-Za-z0-9+/]{10,}={1,2}"),
}


def size_and_time(size: int, mtime_ns: int) -> str:
    """What tells the versions of a file of this machine, or of an object that was named alone."""
    return f"{size}-{mtime_ns}"


def newer_version(uri: str, etag: str, now: Content) -> str:
    """The version of the file that was read just now, in the form of ``etag``; empty if that is the
    same, or can't be compared.

    A row doesn't say where its etag is from. So one is compared if it has the form that
    ``stores.files_at`` gives for such an address: size and time in ns, and of stores their own,
    with S3 the 32 hexadecimal digits (and number of parts) of AWS and most others, with Google a
    padded base64. An empty one, another of a list's own column, and that of ``SHARD.parquet#ROW``,
    which is the shard's, are not.
    """
    if _SIZE_AND_TIME.fullmatch(etag):
        there = "" if now.mtime_ns is None else size_and_time(now.size, now.mtime_ns)
    else:
        form = _OF_STORES.get(uri[:5])
        there = now.etag if form and form.fullmatch(etag) else ""
    return "" if there == etag else there
