"""What one request may ask for. On its own, as a proxy needs neither PyTorch nor settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may ask for, and all of them together; more is refused."""

    body_mb: int = 32
    """Maximum size of a request's body, MiB (413)."""
    held_mb: int = 256
    """Maximum size of all bodies that a replica is receiving, MiB (429)."""
    pictures: int = 256
    """Maximum number of pictures in a request (413)."""
    lexicon_words: int = 10_000
    """Maximum number of words in a request's lexicon (422)."""
    request_s: float = 30.0
    """Time limit from the first byte of a request to its answer, s (408 for the body, else 504)."""

    def __post_init__(self) -> None:
        for name in ("body_mb", "held_mb", "pictures", "lexicon_words"):
            if getattr(self, name) < 1:
                raise ValueError(f"limits.{name} is {getattr(self, name)}; expected at least 1")
        if self.held_mb < self.body_mb:
            raise ValueError(
                f"limits.held_mb is {self.held_mb}, less than limits.body_mb {self.body_mb}; "
                "expected room for one body at least"
            )
        if not (math.isfinite(self.request_s) and self.request_s > 0):
            raise ValueError(f"limits.request_s is {self.request_s}; expected seconds above 0")
