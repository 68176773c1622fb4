"""Turn labelled pictures into shards for training and evaluation.

    python jobs/prepare.py words/ shards/words --val-share 0.05
    python jobs/prepare.py s3://bucket/mjsynth s3://bucket/shards --lists annotation_train.txt
    python jobs/prepare.py captchas/ shards/captchas --label-pattern '(?P<text>[^/]+)\\.jpg$'
    python jobs/prepare.py results/ shards/read --min-confidence 0.8 --val-share 0.05
    python jobs/prepare.py shards/a shards/b shards/both --charset ascii_space --unknown fold
    python jobs/prepare.py shards/train shards/clean --drop inspection --kinds copy leak

SOURCE is one of these (several are merged): a folder with labels.tsv (path, tab, text), .csv,
.jsonl or docTR's labels.json; gt.txt or rec_gt_*.txt with tabs; x.gt.txt beside x.png; pictures
with the label in their names; an MJSynth tree; ICDAR's gt.txt; scene pictures with boxes or
polygons; scans of pages with ALTO or PAGE XML; an LMDB; WebDataset tars; Parquet tables; a prepared
set; the results of jobs/recognize.py, as labels. docs/labels.md has the rules. All addresses may be
local, s3:// or gs://. If it is killed, the same command continues where it stopped.
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

from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines
from pipelines.prepare.config import PrepareConfig

if TYPE_CHECKING:
    from pipelines.prepare import CompletedSet, Progress

_SHOWN_CHARACTERS = 10


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(PrepareConfig):
    """A preparation: where from, where to, and how."""

    paths: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE [SOURCE ...] OUT")
    ]
    """Labelled pictures, one source or more, and last the folder for the shards: paths, s3:// or
    gs:// addresses."""
    address: ClusterAddress = ""


def main(argv: Sequence[str]) -> None:
    """Prepare as the arguments say, and print what came of it."""
    settings = cli.parse(PrepareSettings, argv, description=__doc__ or "")
    if len(settings.paths) < 2:
        raise ValueError(f"{settings.paths} lacks SOURCE or OUT; expected SOURCE [SOURCE ...] OUT")
    from jobs.cluster import connect
    from pipelines.prepare import begin, carry_out

    *sources, out = settings.paths
    job = begin(sources, out, settings)
    lines = ProgressLines("preparing")

    def report(now: Progress) -> None:
        more = "" if now.listed else ", still listing"
        lines(now.done, now.total, f", {now.rejects:,} rejects{more}", final=now.listed)

    while not job.agenda.wait():
        report(job.progress())
    if job.agenda.rows:
        connect(settings.address or None)
    for made in carry_out(job, report):
        print(describe(made), flush=True)


def describe(made: CompletedSet) -> str:
    """What lies in a finished folder, in a few lines."""
    manifest = made.manifest
    rejects = ", ".join(f"{count:,} {reason}" for reason, count in manifest.rejects.items())
    state = "was complete already, nothing done" if made.was_complete else "is complete"
    lines = [
        f"{made.uri} {state}: {manifest.count:,} samples in {len(manifest.shards):,} shards, "
        f"{len(manifest.characters)} characters, rejects: {rejects or 'none'}"
    ]
    if made.missing.count:
        lines.append(f"  rows whose picture isn't there: {made.missing}")
    if made.unlabelled.count:
        lines.append(f"  pictures without a row in the lists: {made.unlabelled}")
    altered = manifest.recipe.get("unknown_characters") or {}
    if altered.get("samples"):
        often = [f"{c!r} {n:,}" for c, n in list(altered["characters"].items())[:_SHOWN_CHARACTERS]]
        more = ", …" if altered["kinds"] > len(often) else ""
        lines.append(
            f"  samples altered by --unknown {manifest.recipe['text']['unknown']}: "
            f"{altered['samples']:,} (the charset lacks {', '.join(often)}{more})"
        )
    drop = manifest.recipe.get("drop")
    if drop and any(kind.endswith("leak") for kind in drop["kinds"]):
        lines.append(f"  leaks are dropped from the {drop['leak_side']} side (--leak-side)")
    if made.not_dropped.count:
        lines.append(f"  findings whose sample isn't in the sources: {made.not_dropped}")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
