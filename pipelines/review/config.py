"""Which rows of a bulk job's results are taken for a review."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.review.kinds import CHARACTERS

LABEL_STUDIO = "label-studio"
DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class ReviewConfig:
    """Which rows are taken."""

    below: float = 0.9
    """Take results with a confidence below this; above 1: all of them."""
    limit: int = 500
    """Maximum number of pictures."""
    order: Literal["confidence", "random", "different"] = "confidence"
    """Which of the results below --below are taken: the least confident first, a random sample (the
    same every time), or those whose texts are least alike."""
    per_kind: int = 0
    """Maximum number of pictures of each kind; 0: no maximum."""
    kind: Literal["characters", "length", "folder"] = "characters"
    """With --per-kind, what makes a kind: letters, digits, signs and whether there are several
    words; the length of the text (1, 2 to 3, 4 to 7 … characters); or the picture's folder."""
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
        if self.order not in ("confidence", "random", "different"):
            raise ValueError(f"--order is {self.order!r}; expected confidence, random or different")
        if self.per_kind < 0:
            raise ValueError(f"--per-kind is {self.per_kind}; expected 0 (all) or a number")
        if self.kind != CHARACTERS and not self.per_kind:
            raise ValueError(f"--kind {self.kind}: only with --per-kind, the maximum of each kind")
        if self.format not in ("page", LABEL_STUDIO):
            raise ValueError(f"--format is {self.format!r}; expected page or {LABEL_STUDIO}")
        if self.format != LABEL_STUDIO and (self.pictures_at or self.whole_pages):
            flag = "--pictures-at" if self.pictures_at else "--whole-pages"
            raise ValueError(f"{flag} is for --format {LABEL_STUDIO}; the page needs none")
        if self.beside and (self.errors or self.order != "confidence"):
            raise ValueError(
                "--beside can't be combined with --errors or --order: it has its own order"
            )
