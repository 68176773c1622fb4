"""Rows of whole pages → documents: plain text, JSON, hOCR and ALTO, from the results alone; PDF.

``rows`` (results files → a file's pages in reading order, their lines split by ``words``) →
``plain``, ``hocr``, ``alto`` (pages → text), ``pdf`` (and the files that were read) → ``write``
(each in its place, what is there and newer stays). ``forms`` lists them. Needs neither Ray nor
PyTorch.
"""

from __future__ import annotations
