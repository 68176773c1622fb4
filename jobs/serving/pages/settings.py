"""What reading whole pages over HTTP is given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crnn.online.pages_config import OnlinePagesConfig
from crnn.pages.page import DPI, LEAST_DPI, LONGEST_PX, MOST_DPI, PageRequest

LEAST_DETECT_PX, MOST_DETECT_PX = 64, 8192


@dataclass(frozen=True, kw_only=True)
class PagesSettings(OnlinePagesConfig):
    """What one request for whole pages may ask for, and all of them together."""

    per_file: int = 32
    """Maximum number of pages of a PDF or a TIFF; a file with more becomes an error,
    too_many_pages."""
    per_request: int = 32
    """Maximum number of pages in a request (413)."""
    request_s: float = 60.0
    """Time limit from the first byte of a request to its answer, s (504)."""
    held_mb: int = 256
    """Maximum size of all bodies with pages that a replica has, MiB (429)."""
    dpi: int = DPI
    """Dots per inch at which a PDF is drawn, unless a request says otherwise."""
    detect_px: int = LONGEST_PX
    """Longest side, px, to which a page is shrunk to find its text, unless a request says
    otherwise."""
    max_detect_px: int = 2048
    """Maximum that a request may ask for instead of --pages.detect-px, px (422)."""

    def bounds(self) -> dict[str, dict[str, int]]:
        """Default and bounds of the options that only pages have."""
        least, most = LEAST_DETECT_PX, self.max_detect_px
        return {
            "dpi": {"default": self.dpi, "min": LEAST_DPI, "max": MOST_DPI},
            "detect_px": {"default": self.detect_px, "min": least, "max": most},
        }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("per_file", "per_request", "held_mb"):
            if getattr(self, name) < 1:
                raise ValueError(f"pages.{name} is {getattr(self, name)}; expected at least 1")
        if self.per_request > self.queue:
            raise ValueError(
                f"pages.per_request is {self.per_request}, more than pages.queue {self.queue}; "
                "expected room for one request at least"
            )
        if not (math.isfinite(self.request_s) and self.request_s > 0):
            raise ValueError(f"pages.request_s is {self.request_s}; expected seconds above 0")
        if not LEAST_DETECT_PX <= self.detect_px <= self.max_detect_px <= MOST_DETECT_PX:
            raise ValueError(
                f"pages.detect_px is {self.detect_px} and pages.max_detect_px "
                f"{self.max_detect_px}; expected {LEAST_DETECT_PX} ≤ detect_px ≤ max_detect_px ≤ "
                f"{MOST_DETECT_PX} px"
            )
        PageRequest(dpi=self.dpi)
