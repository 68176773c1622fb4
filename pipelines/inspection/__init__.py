"""Labelled pictures looked through before anything is trained on them.

``settings`` → ``inputs`` (which sets, in which pieces) → ``reading`` (their rows) → ``look`` (one
piece: ``pictures``, ``labels`` and ``look_alikes``) → ``tally`` (sums, and 39 bytes a sample) with
``notes`` (every finding) → ``copies`` with ``near``, ``outliers``, ``alphabet``, ``shapes`` with
``buckets`` (the data as a whole), ``contradicted`` (what a trained bundle reads instead) →
``judge`` (findings; ``kinds`` has every kind) → ``again`` (pictures read again, to compare and to
show) → ``result`` → ``page`` with ``cards``, ``plots``, ``proposals``, and ``every`` (the table of
all findings) → ``write``. ``flow`` runs it all on Ray, each pass over the samples by ``passes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.inspection.flow import Planned, carry_out, inspect, plan_inspection
    from pipelines.inspection.passes import Progress
    from pipelines.inspection.result import Finding, Inspection
    from pipelines.inspection.settings import InspectConfig
    from pipelines.inspection.write import HTML_NAME, JSON_NAME

__all__ = [
    "HTML_NAME",
    "JSON_NAME",
    "Finding",
    "InspectConfig",
    "Inspection",
    "Planned",
    "Progress",
    "carry_out",
    "inspect",
    "plan_inspection",
]

__getattr__ = names_of(__name__, __all__, "settings", "result", "write", "passes", "flow")
