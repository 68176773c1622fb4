"""How alike are the pictures of two sets: rendered ones and real ones, last year's and today's?

    python jobs/compare_data.py real/ shards/street --out comparison
    python jobs/compare_data.py real/ shards/words shards/street shards/rough --limit 5000

DATA are two to six prepared sets (of a split OUT, its folders), or sources that jobs/prepare.py
reads, each a path, s3:// or gs:// address. All others are compared with the first: histograms of
width a character, height, contrast, brightness, sharpness, rotation, slant and room around the
text, each with the distance as a number, and the share of the first set that the other hardly
covers. Writes comparison.html (for people) and comparison.json (for programs, last).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn import storage
from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines
from pipelines.comparison.settings import CompareConfig

if TYPE_CHECKING:
    from pipelines.comparison import Comparison
    from pipelines.inspection import Progress


@dataclass(frozen=True, kw_only=True)
class CompareSettings(CompareConfig):
    """What to compare, and where the page goes."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA DATA ...")]
    """Prepared sets or sources; the others are compared with the first."""
    out: str = ""
    """Folder of the page: a path, s3:// or gs:// address; default: comparison-<time>."""
    address: ClusterAddress = ""


def main(argv: Sequence[str]) -> None:
    """Compare as the arguments say, print the distances and where the page is."""
    settings = cli.parse(CompareSettings, argv, description=__doc__ or "")
    from ray.data import DataContext

    from jobs.cluster import connect
    from pipelines.comparison import carry_out, plan_comparison
    from pipelines.comparison.write import write

    out = settings.out or time.strftime("comparison-%Y%m%d-%H%M%S")
    storage.resolve(out)
    planned = plan_comparison(settings.data, settings)
    connect(settings.address or None)
    DataContext.get_current().enable_progress_bars = False
    lines = ProgressLines("measuring")

    def report(progress: Progress) -> None:
        lines(progress.done, progress.total, final=progress.final)

    comparison = carry_out(planned, report)
    address = write(comparison, out)
    print(describe(comparison))
    print(f"page: {address}", flush=True)


def describe(comparison: Comparison) -> str:
    """The distances from the first set as a table, a trait a line; what was not measured below."""
    first, *others = comparison.sets
    lines = [f"distance from {first.name} (share of it uncovered)"]
    width = max(len(name) for name in comparison.traits)
    columns = [max(len(data.name), len("0.00 (00%)")) for data in others]
    names = (data.name.rjust(w) for data, w in zip(others, columns, strict=True))
    lines.append("  ".join([" " * width, *names]))
    for name, report in comparison.traits.items():
        cells = [
            f"{_text(s.distance, '.2f')} ({_text(s.uncovered, '.0%')})".rjust(w)
            for s, w in zip(report.sets[1:], columns, strict=True)
        ]
        lines.append("  ".join([name.ljust(width), *cells]))
    means = (
        _text(comparison.mean_distance(number), ".2f").rjust(w)
        for number, w in enumerate(columns, start=1)
    )
    lines.append("  ".join(["mean".ljust(width), *means]))
    for data, reasons in zip(comparison.sets, comparison.skipped, strict=True):
        lines += [f"{data.name}: {n:,} not measured, {why}" for why, n in sorted(reasons.items())]
    return "\n".join(lines)


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


if __name__ == "__main__":
    cli.run(main)
