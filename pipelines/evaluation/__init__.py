"""Evaluation: prepared sets read by a bundle on Ray Data, scored and summed.

``planned`` (what is sound to run) and ``plan`` (its pieces) → ``reader`` (one piece in one
process) → ``tally`` (what adds up) → ``spread`` (all pieces on Ray) → ``parts`` (what was read, in
files, to go on from) → ``flow`` (to the end) → ``result`` (the ``Evaluation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.evaluation.flow import Progress, carry_out, evaluate
    from pipelines.evaluation.parts import are_begun, forget_parts, recipe
    from pipelines.evaluation.planned import Planned, plan_evaluation
    from pipelines.evaluation.result import Evaluation, SetInfo, measures
    from pipelines.evaluation.tally import Mistake, OutOfReach

__all__ = [
    "Evaluation",
    "Mistake",
    "OutOfReach",
    "Planned",
    "Progress",
    "SetInfo",
    "are_begun",
    "carry_out",
    "evaluate",
    "forget_parts",
    "measures",
    "plan_evaluation",
    "recipe",
]

__getattr__ = names_of(__name__, __all__, "tally", "result", "planned", "parts", "flow")
