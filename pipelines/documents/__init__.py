"""Rows of whole pages → documents: plain text, JSON, hOCR and ALTO, from the results alone.

``rows`` (results files → a file's pages in reading order) → ``plain``, ``hocr``, ``alto`` (pages
→ text) → ``write`` (each in its place, what is there and newer stays). Needs neither Ray nor
PyTorch, nor the pictures.
"""

from __future__ import annotations
