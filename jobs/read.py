"""Read some pictures here, without Ray, and print a line for each.

    python jobs/read.py picture.png
    python jobs/read.py --pages scan.jpg book.pdf
    python jobs/read.py --json 'crops/*.png' other.jpg
    python jobs/read.py --bundle runs/first/bundle --decoder lexicon --lexicon words.txt crops/

A line has the text, the confidence and the picture's name, with tabs between. With --pages the text
of whole pages is printed in reading order. A picture that can't be read is reported on stderr and
makes the exit status 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from jobs import cli
from jobs.flags import BundleDigest, BundleOrIncluded
from pipelines.recognition.config import ReadOptions


@dataclass(frozen=True, kw_only=True)
class ReadSettings(ReadOptions):
    """Which pictures to read, and with what."""

    pictures: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PICTURE [PICTURE ...]")
    ]
    """Paths, s3:// or gs:// addresses, patterns such as 'crops/*.png', and folders."""
    json: bool = False
    """Print JSON, one object a line."""
    bundle: BundleOrIncluded = ""
    digest: BundleDigest = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pictures:
            raise ValueError("no picture is named; expected at least one, or a folder or a pattern")


def main(argv: Sequence[str]) -> None:
    """Read as the arguments say; status 1 when some could not be read."""
    settings = cli.parse(ReadSettings, argv, description=__doc__ or "")
    from crnn.bundle.shipped import default_bundle
    from jobs.read_here import check_digest, read_here

    bundle = settings.bundle or default_bundle()
    check_digest(bundle, settings, settings.digest)
    if read_here(settings.pictures, bundle, settings, as_json=settings.json):
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
