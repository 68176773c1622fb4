"""Bulk recognition: reads every picture of a bucket once, even if workers or the job are killed.

``listing`` (what there is, in pages of ``inputs``; from ``stores`` or ``lists``) → ``known``
(what is new) → ``plan`` (written down in chunks, the ledger) → ``agenda`` (handed out while the
listing goes on) → ``flow`` (chunks over the processes of a cluster) → ``reader`` (``source``:
bytes; decoded; read; ``rows``: one results file a chunk, with its ``sums``) → ``sweep`` (rows that
newer ones replace) → ``summary`` (the report, written last). ``follow`` goes on with pictures that
keep coming: it lists again and again (``listings``), or takes messages that tell of them
(``arrivals``, of ``event_queue``, understood by ``s3_events``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.recognition.config import BulkConfig
    from pipelines.recognition.flow import (
        BulkWork,
        Outcome,
        Progress,
        carry_out,
        plan_work,
        progress,
        recognize,
    )
    from pipelines.recognition.follow import Follow

__all__ = [
    "BulkConfig",
    "BulkWork",
    "Follow",
    "Outcome",
    "Progress",
    "carry_out",
    "plan_work",
    "progress",
    "recognize",
]

__getattr__ = names_of(__name__, __all__, "config", "flow", "follow")
