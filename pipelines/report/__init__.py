"""The report of an evaluation: ``report.json`` for programs, ``report.html`` for people.

``markup`` (escaped by construction) → ``charts``, ``gallery``, ``confusions`` → ``page`` →
``write``.
"""

from pipelines.report.write import HTML_NAME, JSON_NAME, begin_report, write_report

__all__ = ["HTML_NAME", "JSON_NAME", "begin_report", "write_report"]
