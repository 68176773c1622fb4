"""Which rows of a bulk job's results are taken for a review."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

LABEL_STUDIO = "label-studio"


@dataclass(frozen=True, kw_only=True)
class ReviewConfig:
    """Which rows are taken."""

    below: float = 0.9
    """Take results with a confidence below this; above 1: all of them."""
    limit: int = 500
    """Maximum number of pictures."""
    order: Literal["confidence", "random"] = "confidence"
    """The least confident first, or a random sample of the results below --below (the same sample
    every time)."""
    beside: str = ""
    """Results of another bundle on the same pictures: take those that the two read differently,
    regardless of --below; first those that differ most and that both are sure of."""
    errors: bool = False
    """Also take inputs that could not be read, if their pictures can be shown."""
    format: Literal["page", "label-studio"] = "page"
    """page: a page to correct texts in a browser. label-studio: tasks and a labelling setup to
    import into Label Studio, with the readings as predictions."""
    pictures_at: str = ""
    """With --format label-studio: what stands before the names of the pictures in the tasks;
    default: /data/local-files/?d=<folder>/images/ for a folder, else the address of the images."""
    whole_pages: bool = False
    """With --format label-studio: a task for each whole picture, with its rows as regions, not one
    for each cut-out."""
    unfinished: bool = False
    """Accept results of a job that is not complete."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.below) and self.below > 0):
            raise ValueError(f"--below is {self.below}; expected a confidence above 0, such as 0.9")
        if self.limit < 1:
            raise ValueError(f"--limit is {self.limit}; expected at least 1")
        if self.order not in ("confidence", "random"):
            raise ValueError(f"--order is {self.order!r}; expected confidence or random")
        if self.format not in ("page", LABEL_STUDIO):
            raise ValueError(f"--format is {self.format!r}; expected page or {LABEL_STUDIO}")
        if self.format != LABEL_STUDIO and (self.pictures_at or self.whole_pages):
            flag = "--pictures-at" if self.pictures_at else "--whole-pages"
            raise ValueError(f"{flag} is for --format {LABEL_STUDIO}; the page needs none")
        if self.beside and (self.errors or self.order != "confidence"):
            raise ValueError(
                "--beside can't be combined with --errors or --order: it has its own order"
            )
