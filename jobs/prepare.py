"""Labelled pictures → shards for training and evaluation.

    python jobs/prepare.py words/ shards/words --val-share 0.05
    python jobs/prepare.py s3://bucket/mjsynth s3://bucket/shards --lists annotation_train.txt

SOURCE is a folder with labels.tsv (path, tab, text) or labels.csv, or an MJSynth tree; both
addresses may be local, s3:// or gs://. Killed, it goes on where it stopped when run again.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro
from ray.data import DataContext

from jobs import cli
from jobs.cluster import connect
from pipelines.prepare import PrepareConfig, Progress, Work, carry_out, plan
from pipelines.shards import Manifest

LINE_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(PrepareConfig):
    """A preparation: where from, where to, and how."""

    source: Annotated[str, tyro.conf.Positional]
    """Folder of labelled pictures: a path, s3:// or gs:// address."""
    out: Annotated[str, tyro.conf.Positional]
    """Folder for the shards: a path, s3:// or gs:// address."""
    address: str = ""
    """Ray cluster to use; default: $RAY_ADDRESS, else a local one is started."""


def main(argv: Sequence[str]) -> None:
    """Prepare as the arguments say, and print what came of it."""
    settings = cli.parse(PrepareSettings, argv, description=__doc__ or "")
    works = plan(settings.source, settings.out, settings)
    if any(work.finished is None for work in works):
        _start_ray(settings.address)
    report = ProgressLines()
    for work in works:
        print(describe(work, carry_out(work, report)), flush=True)


class ProgressLines:
    """Prints a line of progress now and then; no control characters, so logs stay readable."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + LINE_EVERY_S

    def __call__(self, progress: Progress) -> None:
        """Print ``progress`` if it is time, or if it is the last of its folder."""
        if time.monotonic() < self._next_s and progress.done < progress.total:
            return
        self._next_s = time.monotonic() + LINE_EVERY_S
        speed = f"{progress.rate:,.0f}/s, {progress.left_s:.0f} s left, " if progress.rate else ""
        print(
            f"{progress.uri}: {progress.done:,} of {progress.total:,} pictures "
            f"({progress.done / progress.total:.0%}), {speed}{progress.rejects:,} rejects",
            flush=True,
        )


def describe(work: Work, manifest: Manifest) -> str:
    """What lies in a finished folder, in a few words."""
    rejects = ", ".join(f"{count:,} {reason}" for reason, count in manifest.rejects.items())
    state = "is complete" if work.finished is None else "was complete already, nothing done"
    return (
        f"{work.uri} {state}: {manifest.count:,} samples in {len(manifest.shards):,} shards, "
        f"{len(manifest.characters)} characters, rejects: {rejects or 'none'}"
    )


def _start_ray(address: str) -> None:
    connect(address or None)
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False


if __name__ == "__main__":
    cli.run(main)
