"""Evaluation: prepared sets read by a bundle on Ray Data, scored and summed.

``plan`` (row groups to read) → ``reader`` (one group in one process) → ``tally`` (what adds up)
→ ``flow`` (all groups on Ray) → ``result`` (the ``Evaluation``).
"""

from pipelines.evaluation.flow import Progress, evaluate
from pipelines.evaluation.result import Evaluation, SetInfo
from pipelines.evaluation.tally import Mistake, Problem

__all__ = ["Evaluation", "Mistake", "Problem", "Progress", "SetInfo", "evaluate"]
