"""Report what is wrong with labelled pictures before you train on them.

    python jobs/inspect_data.py shards/words --out inspection
    python jobs/inspect_data.py shards/train shards/val --strict
    python jobs/inspect_data.py s3://bucket/mjsynth --limit 100000 --charset alnum

DATA are prepared sets (such as OUT/train and OUT/val), or sources that jobs/prepare.py reads:
paths, s3:// or gs:// addresses. Leaks are searched for between all of them; the first one is taken
as the training set. Writes report.html (for people), findings.parquet (every finding, which
jobs/prepare.py --drop leaves out) and report.json (for programs, written last).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.files import storage
from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines
from pipelines.inspection.settings import InspectConfig

if TYPE_CHECKING:
    from pipelines.inspection import Inspection, Progress

STRICT_STATUS = 1


@dataclass(frozen=True, kw_only=True)
class InspectSettings(InspectConfig):
    """What to inspect, for which model, and where the report goes."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA [DATA ...]")]
    """Prepared sets or sources."""
    out: str = ""
    """Folder of the report: a path, s3:// or gs:// address; default: inspection-<time>."""
    strict: bool = False
    """Exit with status 1 if there are errors."""
    address: ClusterAddress = ""


def main(argv: Sequence[str]) -> None:
    """Inspect as the arguments say, print what was found and where the report is."""
    settings = cli.parse(InspectSettings, argv, description=__doc__ or "")
    from ray.data import DataContext

    from jobs.cluster import connect
    from pipelines.claim import at_work
    from pipelines.inspection import carry_out, plan_inspection
    from pipelines.inspection.write import write

    out = settings.out or time.strftime("inspection-%Y%m%d-%H%M%S")
    storage.resolve(out)
    planned = plan_inspection(settings.data, settings)
    with at_work(out):
        connect(settings.address or None)
        DataContext.get_current().enable_progress_bars = False
        inspection = carry_out(planned, _Lines())
        address = write(inspection, out)
    print(describe(inspection))
    print(f"report: {address}", flush=True)
    errors = inspection.of("error")
    if settings.strict and errors:
        codes = ", ".join(f"{finding.count:,} {finding.code}" for finding in errors)
        print(
            f"error: --strict is given and there are errors: {codes}", file=sys.stderr, flush=True
        )
        sys.exit(STRICT_STATUS)


class _Lines:
    """Progress, for each stage its own lines."""

    def __init__(self) -> None:
        self._of: dict[str, ProgressLines] = {}

    def __call__(self, progress: Progress) -> None:
        lines = self._of.setdefault(progress.stage, ProgressLines(progress.stage))
        lines(progress.done, progress.total, final=progress.final)


def describe(inspection: Inspection) -> str:
    """The findings, one a line."""
    sets = "1 set" if len(inspection.sets) == 1 else f"{len(inspection.sets)} sets"
    lines = [f"{inspection.samples:,} samples in {sets}"]
    lines += [
        f"{finding.kind.severity:<8}{finding.count:>10,}  {finding.code} ({finding.share:.2%})"
        for finding in inspection.findings
    ]
    if not inspection.findings:
        lines.append("nothing is wrong with them")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
