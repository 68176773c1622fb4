"""Bulk recognition: every picture of a bucket read once, whatever is killed meanwhile.

``listing`` (what there is, in pages of ``inputs``; from ``stores`` or ``lists``) → ``known``
(what is new) → ``plan`` (written down in chunks, the ledger) → ``agenda`` (handed out while the
listing goes on) → ``flow`` (chunks over the processes of a cluster) → ``reader`` (``source``:
bytes; decoded; read; ``rows``: one results file a chunk) → ``sweep`` (rows that newer ones
replace) → ``summary`` (the report, written last).
"""

from pipelines.recognition.flow import (
    Outcome,
    Progress,
    Work,
    carry_out,
    plan_work,
    progress,
    recognize,
)
from pipelines.recognition.reader import BulkConfig

__all__ = [
    "BulkConfig",
    "Outcome",
    "Progress",
    "Work",
    "carry_out",
    "plan_work",
    "progress",
    "recognize",
]
