"""Which samples are held out of training: their group decides, or their id where they have none.

So it is alike on every machine, and what belongs together, such as the lines of one receipt, is
on one side.
"""

from __future__ import annotations

import zlib

import pyarrow as pa

KEY_COLUMNS = ("id", "group")
"""Columns of a shard that decide; sets made before there were groups have the first alone."""


def is_held_out(key: str, share: float) -> bool:
    """Whether the sample of this key belongs to the held-out ``share`` (0 to 1) of its set."""
    return share > 0 and zlib.crc32(b"held out" + key.encode()) / 2**32 < share


def split_keys(table: pa.Table) -> list[str]:
    """What decides for each row of a shard with ``KEY_COLUMNS``."""
    ids: list[str] = table["id"].to_pylist()
    if "group" not in table.column_names:
        return ids
    return [group or id for group, id in zip(table["group"].to_pylist(), ids, strict=True)]


def held_out_rows(table: pa.Table, share: float) -> list[bool]:
    """For each row of a shard with ``KEY_COLUMNS`` whether ``is_held_out``."""
    return [is_held_out(key, share) for key in split_keys(table)]
