"""Write the text of whole pages as documents: plain text, JSON, hOCR, ALTO or PDF.

    python jobs/documents.py results/ texts/
    python jobs/documents.py s3://bucket/results s3://bucket/alto --format alto --per page
    python jobs/documents.py results/ found/ --format pdf

RESULTS is the --output folder of jobs/recognize.py --pages, or one of the model=… folders in it.
Run again later, it writes only what is new or has changed. PDFs are the files that were read, with
their text to be searched and copied; for these the files are fetched again, and one that has
changed meanwhile gets none.
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
from pipelines.documents.config import DocumentsConfig

if TYPE_CHECKING:
    from pipelines.documents.page import LeftOut
    from pipelines.documents.write import Written


@dataclass(frozen=True, kw_only=True)
class DocumentsSettings(DocumentsConfig):
    """Which results, in which forms, and where the documents go."""

    results: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RESULTS")]
    """Results of a bulk job that read whole pages: a path, s3:// or gs:// address."""
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Folder of the documents: a path, s3:// or gs:// address."""


def main(argv: Sequence[str]) -> None:
    """Write as the arguments say, and print what was written and what couldn't be."""
    settings = cli.parse(DocumentsSettings, argv, description=__doc__ or "")
    from pipelines.documents.write import write_documents

    storage.resolve(settings.out)
    lines = ProgressLines("writing", unit="results files")
    written = write_documents(settings.results, settings.out, settings, lines)
    print(describe(written, settings.out), flush=True)
    if written.files and not written.pages:
        raise DataError(
            f"none of the {written.files:,} files in {written.results_uri} could be opened, such "
            f"as {_told(written.examples[0])}; correct the input of jobs/recognize.py"
        )
    if written.pages and not (written.written or written.kept):
        raise DataError(
            f"none of the documents of {written.files:,} files in {written.results_uri} could be "
            f"written ({_counted(written)}); give the files back, or run jobs/recognize.py again"
        )


def describe(written: Written, out: str) -> str:
    """What was written and where, and what is missing, in a few lines."""
    kept = f"; {written.kept:,} that were there are up to date" if written.kept else ""
    lines = [
        f"{written.files:,} files with {written.pages:,} pages in {written.results_uri}",
        f"{written.written:,} documents written to {out}{kept}",
        f"errors: {_counted(written) or 'none'}",
        *(f"  {_told(problem)}" for problem in written.examples),
    ]
    more = written.errors.total() - len(written.examples)
    return "\n".join(
        [*lines, *([f"  and {more:,} more: see error_code in the results"] * (more > 0))]
    )


def _counted(written: Written) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in written.errors.most_common())


def _told(problem: LeftOut) -> str:
    places = (("page", problem.page), ("line", problem.line))
    where = "".join(f", {name} {number}" for name, number in places if number is not None)
    return f"{problem.uri}{where}: {problem.code}: {problem.message}"


if __name__ == "__main__":
    cli.run(main)
