"""Labelled pictures → shards for training and evaluation.

    python jobs/prepare.py words/ shards/words --val-share 0.05
    python jobs/prepare.py s3://bucket/mjsynth s3://bucket/shards --lists annotation_train.txt

SOURCE is a folder with labels.tsv (path, tab, text) or labels.csv, or an MJSynth tree; both
addresses may be local, s3:// or gs://. Killed, it goes on where it stopped when run again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro
from ray.data import DataContext

from jobs import cli
from jobs.cluster import connect
from jobs.progress import ProgressLines
from pipelines.prepare import PrepareConfig, Progress, Work, carry_out, plan
from pipelines.shards import Manifest


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
    for work in works:
        lines = ProgressLines(work.uri)

        def report(progress: Progress, lines: ProgressLines = lines) -> None:
            lines(progress.done, progress.total, f", {progress.rejects:,} rejects")

        print(describe(work, carry_out(work, report)), flush=True)


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
    DataContext.get_current().enable_progress_bars = False


if __name__ == "__main__":
    cli.run(main)
