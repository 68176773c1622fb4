"""Bulk recognition: every picture of a bucket read once, whatever is killed meanwhile.

``listing`` (what there is) → ``plan`` (what is left to read, written down in chunks) → ``reader``
(one chunk in one task: pictures in, one results file out) → ``flow`` (all chunks on Ray) →
``sweep`` (rows that newer ones replace) → ``summary`` (the report, written last).
"""

from pipelines.recognition.flow import (
    Outcome,
    Progress,
    carry_out,
    plan_work,
    recognize,
)
from pipelines.recognition.reader import BulkConfig

__all__ = ["BulkConfig", "Outcome", "Progress", "carry_out", "plan_work", "recognize"]
