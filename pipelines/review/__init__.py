"""Closing the loop: doubtful rows of a bulk job → a page to correct them → ``labels.tsv``.

``selection`` (which results, which rows) → ``pictures`` (fetched, cut out, named) → ``page`` with
``review.js`` (what a person edits) → ``write``. ``jobs/prepare.py`` takes the folder as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn.lazily import names_of

if TYPE_CHECKING:
    from pipelines.review.config import ReviewConfig
    from pipelines.review.selection import Selection, select
    from pipelines.review.write import HTML_NAME, IMAGES_FOLDER, JSON_NAME, Progress, Review

__all__ = [
    "HTML_NAME",
    "IMAGES_FOLDER",
    "JSON_NAME",
    "Progress",
    "Review",
    "ReviewConfig",
    "Selection",
    "select",
]

__getattr__ = names_of(__name__, __all__, "config", "selection", "write")
