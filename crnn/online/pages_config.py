"""With how much whole pages are read online."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OnlinePagesConfig:
    """With how much pages are read."""

    at_once: int = 2
    """Pages in work at a time, each with a thread that finds its text."""
    queue: int = 64
    """Maximum number of pages taken in and not yet answered; more are refused (429)."""
    max_pixels: int = 40_000_000
    """Maximum pixels of a page, known before it is decoded or drawn; a larger one becomes an error,
    too_large."""
    open_memory_mb: int = 2048
    """Memory limit of the process that opens pages, MiB; a page that needs more becomes an
    error."""
    open_timeout_s: float = 20.0
    """Time limit for opening one page, seconds; a slower one becomes an error."""

    def __post_init__(self) -> None:
        for name in ("at_once", "queue", "max_pixels"):
            if getattr(self, name) < 1:
                raise ValueError(f"pages.{name} is {getattr(self, name)}; expected at least 1")
        if self.open_memory_mb < 256:
            raise ValueError(
                f"pages.open_memory_mb is {self.open_memory_mb}; expected 256 MiB or more"
            )
        if not self.open_timeout_s > 0:
            raise ValueError(f"pages.open_timeout_s is {self.open_timeout_s}; expected above 0 s")
