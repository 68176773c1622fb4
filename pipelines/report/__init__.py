"""Pages for people: the report of an evaluation, and the parts that other pages share with it.

``markup`` (escaped by construction) → ``svg`` → ``charts``; ``readings``, ``thumbnail``;
``document`` (the whole page): shared. ``gallery``, ``confusions`` → ``page`` → ``write``: the
evaluation's ``report.html``, and ``report.json`` for programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.report.write import HTML_NAME, JSON_NAME, begin_report, write_report

__all__ = ["HTML_NAME", "JSON_NAME", "begin_report", "write_report"]

__getattr__ = names_of(__name__, __all__, "write")
