"""Labelled pictures → shards, on Ray: rows are chunks of the listing, never single pictures.

``entries`` (items of ``pipelines.sources``: texts by the rules, ids told apart, each in its
split) → ``plan`` (written down window by window) → ``task`` (a chunk → shards, rejects, its
part file) → ``flow`` (all of it, the manifests last). A job killed at any moment and run again
does only the parts that are missing, and ends in the same data as one that was never disturbed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.prepare.config import PrepareConfig
    from pipelines.prepare.flow import (
        CompletedSet,
        Preparation,
        Progress,
        begin,
        carry_out,
        prepare,
    )

__all__ = [
    "CompletedSet",
    "Preparation",
    "PrepareConfig",
    "Progress",
    "begin",
    "carry_out",
    "prepare",
]

__getattr__ = names_of(__name__, __all__, "config", "flow")
