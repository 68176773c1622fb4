"""Pages for people: the report of an evaluation, and the parts that other pages share with it.

``markup`` (escaped by construction) → ``svg`` → ``charts``; ``readings``, ``thumbnail``;
``document`` (the whole page): shared. ``gallery``, ``confusions`` → ``page`` → ``write``: the
evaluation's ``report.html``, and ``report.json`` for programs.
"""

from pipelines.report.write import HTML_NAME, JSON_NAME, begin_report, write_report

__all__ = ["HTML_NAME", "JSON_NAME", "begin_report", "write_report"]
