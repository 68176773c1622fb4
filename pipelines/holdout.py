"""Which samples are held out of training: its id alone decides, alike on every machine."""

from __future__ import annotations

import zlib


def is_held_out(sample_id: str, share: float) -> bool:
    """Whether this sample belongs to the held-out ``share`` (0 to 1) of its set."""
    return share > 0 and zlib.crc32(b"held out" + sample_id.encode()) / 2**32 < share
