"""Make a page to correct the doubtful results of a bulk job, whose labels can be trained on.

    python jobs/review.py results/ review/ --below 0.8
    python jobs/review.py s3://bucket/results review/ --order random --limit 200
    python jobs/review.py results/ review/ --beside of-another-bundle/ --limit 200
    python jobs/review.py results/ review/ --order different --per-kind 50
    python jobs/review.py results/ tasks/ --format label-studio --whole-pages
    python jobs/prepare.py review/ shards/review

RESULTS is the --output folder of jobs/recognize.py, or one of the model=… folders in it. Writes
OUT/review.html (open it in a browser), OUT/images/* and OUT/review.json. The page saves labels.tsv;
put it into OUT, which then is a source for jobs/prepare.py. With --format label-studio, writes
OUT/tasks.json and OUT/labeling.xml, to be imported there; put the JSON that it exports into OUT.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.errors import DataError
from crnn.files import storage
from jobs import cli
from jobs.progress import ProgressLines
from pipelines.review.config import ReviewConfig

if TYPE_CHECKING:
    from pipelines.review import Progress, Review, Selection


@dataclass(frozen=True, kw_only=True)
class ReviewSettings(ReviewConfig):
    """Which results, which of their rows, and where the page goes."""

    results: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RESULTS")]
    """Results of a bulk job: a path, s3:// or gs:// address."""
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder of the page and its pictures: a path, s3:// or gs:// address."""


def main(argv: Sequence[str]) -> None:
    """Select, fetch and write as the arguments say, and print where the page is."""
    settings = cli.parse(ReviewSettings, argv, description=__doc__ or "")
    from pipelines.recognition.source import picture_bytes
    from pipelines.review import select
    from pipelines.review.write import write

    storage.resolve(settings.out)
    selection = select(settings.results, settings)
    if not selection.rows and settings.beside:
        raise DataError(
            f"none of the {selection.total:,} rows in {selection.results_uri} has another text in "
            f"{settings.beside}; there is nothing to review"
        )
    if not selection.rows:
        raise DataError(
            f"none of the {selection.total:,} rows in {selection.results_uri} has a confidence "
            f"under {settings.below:g}; give a higher --below"
        )
    lines = ProgressLines("fetching")

    def report(progress: Progress) -> None:
        lines(progress.done, progress.total, f", {progress.lost:,} can't be shown")

    review = write(selection, settings.out, settings, picture_bytes, report)
    print(describe(selection, review), flush=True)


def describe(selection: Selection, review: Review) -> str:
    """What was taken, and where the page is, in a few lines."""
    lost = f", {len(review.lost):,} can't be shown" if review.lost else ""
    what = "page" if review.page_uri.endswith(".html") else "tasks"
    return (
        f"{len(review.items):,} pictures to review{lost}; {selection.found:,} of "
        f"{selection.total:,} rows fit in {selection.results_uri}\n{_kinds(selection)}"
        f"{what}: {review.page_uri}"
    )


def _kinds(selection: Selection) -> str:
    """A line for each kind, where kinds count."""
    return "".join(
        f"  {kind}: {taken:,} of {found:,}\n" for kind, (taken, found) in selection.kinds.items()
    )


if __name__ == "__main__":
    cli.run(main)
