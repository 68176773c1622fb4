"""Labelled sets laid beside each other: how alike their pictures are, trait by trait.

``settings`` and ``traits`` (one picture → its numbers, with ``lean`` for angles) → ``flow`` (every
sample of every set, on Ray) → ``result`` (quantiles, histograms over common bins, and by
``distance`` how far each set lies from the first one) → ``page`` with ``plots`` → ``write``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.comparison.flow import Planned, carry_out, compare, plan_comparison
    from pipelines.comparison.result import Comparison
    from pipelines.comparison.settings import CompareConfig
    from pipelines.comparison.write import HTML_NAME, JSON_NAME

__all__ = [
    "HTML_NAME",
    "JSON_NAME",
    "CompareConfig",
    "Comparison",
    "Planned",
    "carry_out",
    "compare",
    "plan_comparison",
]

__getattr__ = names_of(__name__, __all__, "settings", "result", "write", "flow")
