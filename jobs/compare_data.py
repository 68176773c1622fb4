"""What differs: the pictures of two sets, the rows of two bulk jobs, or two evaluations?

    python jobs/compare_data.py real/ shards/street --out comparison
    python jobs/compare_data.py s3://bucket/monday s3://bucket/tuesday --out drift
    python jobs/compare_data.py evaluation-old evaluation-new --out which
    python jobs/compare_data.py real/ shards/words shards/street shards/rough --limit 5000

DATA are two to six prepared sets (of a split OUT, its folders), or sources that jobs/prepare.py
reads, each a path, s3:// or gs:// address. All others are compared with the first: histograms of
width a character, height, contrast, brightness, sharpness, rotation, slant and room around the
text, each with the distance as a number, and the share of the first set that the other hardly
covers. Writes comparison.html (for people) and comparison.json (for programs, last).

Two results of jobs/recognize.py are compared by their rows: texts of the same pictures that
changed, errors, confidences, characters, sizes of regions. No picture is read; changed.parquet has
every change. Two reports of jobs/evaluate.py on the same sets tell which bundle is better, with a
paired test of right readings and of character errors.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.files import storage
from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines
from pipelines.comparison.settings import CompareConfig
from pipelines.inspection.settings import AUTO

if TYPE_CHECKING:
    from pipelines.comparison import Comparison
    from pipelines.comparison.bundles import TwoBundles
    from pipelines.drift.result import Drift
    from pipelines.inspection import Progress


@dataclass(frozen=True, kw_only=True)
class CompareSettings(CompareConfig):
    """What to compare, and where the page goes."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA DATA ...")]
    """Prepared sets or sources, the others compared with the first; or two results of bulk
    jobs; or two evaluations."""
    out: str = ""
    """Folder of the page: a path, s3:// or gs:// address; default: comparison-<time>."""
    unfinished: bool = False
    """Accept results of a bulk job that is not complete."""
    address: ClusterAddress = ""


def main(argv: Sequence[str]) -> None:
    """Compare as the arguments say, print the figures and where the page is."""
    settings = cli.parse(CompareSettings, argv, description=__doc__ or "")
    from pipelines.claim import at_work

    out = settings.out or time.strftime("comparison-%Y%m%d-%H%M%S")
    storage.resolve(out)
    with at_work(out):
        told = (compare(settings, out) for compare in (of_results, of_bundles, of_pictures))
        print(next(filter(None, told)), flush=True)


def of_results(settings: CompareSettings, out: str) -> str:
    """Two results by their rows; nothing unless DATA are results, and not meant as pictures."""
    from pipelines.drift.flow import carry_out, is_results, plan_drift

    if settings.format != AUTO or not all(map(is_results, settings.data)):
        return ""
    if len(settings.data) != 2:
        raise ValueError(
            f"DATA are {len(settings.data)} results of bulk jobs; expected two of them. With "
            "--format results their pictures are measured, of up to six"
        )
    _refuse_picture_flags(settings, "the rows of two bulk jobs")
    planned = plan_drift(*settings.data, unfinished=settings.unfinished)
    lines = ProgressLines("comparing", unit="files")
    drift, address = carry_out(planned, out, lambda progress: lines(*progress))
    return f"{describe_drift(drift)}\npage: {address}"


def of_bundles(settings: CompareSettings, out: str) -> str:
    """Two evaluations by their predictions; nothing unless DATA are such."""
    from pipelines.comparison.bundles import compare_bundles, is_evaluation

    if settings.format != AUTO or not all(map(is_evaluation, settings.data)):
        return ""
    if len(settings.data) != 2:
        raise ValueError(f"DATA are {len(settings.data)} evaluations; expected two of them")
    _refuse_picture_flags(settings, "two evaluations")
    _refuse_unfinished(settings)
    found, address = compare_bundles(*settings.data, out)
    return f"{describe_bundles(found)}\npage: {address}"


def _refuse_unfinished(settings: CompareSettings) -> None:
    if settings.unfinished:
        raise ValueError("--unfinished is for two results of bulk jobs, which DATA aren't")


def _refuse_picture_flags(settings: CompareSettings, what: str) -> None:
    """ValueError for a setting that would do nothing, since no picture is read."""
    for field in fields(CompareConfig):
        if getattr(settings, field.name) != field.default:
            flag = "--" + field.name.replace("_", "-")
            raise ValueError(
                f"{flag} is for pictures; DATA are {what}, which reads none: leave it out"
            )


def of_pictures(settings: CompareSettings, out: str) -> str:
    """Sets by their pictures, on Ray."""
    from ray.data import DataContext

    from jobs.cluster import connect
    from pipelines.comparison import carry_out, plan_comparison
    from pipelines.comparison.write import write

    _refuse_unfinished(settings)
    planned = plan_comparison(settings.data, settings)
    connect(settings.address or None)
    DataContext.get_current().enable_progress_bars = False
    lines = ProgressLines("measuring")

    def report(progress: Progress) -> None:
        lines(progress.done, progress.total, final=progress.final)

    comparison = carry_out(planned, report)
    address = write(comparison, out)
    return f"{describe(comparison)}\npage: {address}"


def describe_drift(drift: Drift) -> str:
    """What changed between two results, in some lines."""
    from pipelines.drift.changes import CHANGES

    changes, (first, second) = drift.changes, (source.name for source in drift.sources)
    lines = []
    for source, side in zip(drift.sources, drift.sides, strict=True):
        models = ", ".join(digest[:12] for digest, _ in side.models.most_common())
        errors = ", ".join(f"{count:,} {code}" for code, count in side.errors.most_common())
        mean = _text(side.mean_confidence, ".3f")
        lines.append(
            f"{source.name}: {side.rows:,} rows, {side.read:,} read, {side.empty:,} without text, "
            f"mean confidence {mean}, model {models or '–'}; errors: {errors or 'none'}"
        )
    lines.append(
        f"on both sides: {changes.matched:,} pictures; only in {first} {changes.only_first:,}, "
        f"only in {second} {changes.only_second:,}"
    )
    if changes.matched:
        counts = [f"{changes.same_text:,} the same text"]
        counts += [f"{changes.changed[kind]:,} {name}" for kind, name in CHANGES.items()]
        lines.append(f"of these: {', '.join(counts)}")
    if drift.confidence_moved is not None:
        lines.append(f"confidence where the text is the same: {drift.confidence_moved:+.4f}")
    lines.append(f"distance from {first}, in its standard deviations:")
    width = max(len(name) for name in drift.traits) if drift.traits else 0
    for name, report in drift.traits.items():
        means = " → ".join(_text(summary.mean, ".3g") for summary in report.sets)
        lines.append(
            f"  {name.ljust(width)}  {_text(report.sets[1].distance, '.2f')}  mean {means}"
        )
    lines.append(f"characters: total variation distance {_text(drift.character_distance, '.4f')}")
    lines += drift.unknown
    return "\n".join(lines)


def describe_bundles(found: TwoBundles) -> str:
    """Every test of two bundles in a line."""
    from pipelines.evaluation.paired import in_words

    first, second = found.evaluated
    lines = [f"{one.name}: {one.bundle}" for one in found.evaluated]
    for name, tests in found.tests.items():
        lines += [in_words(name, measure, test, (first.name, second.name))
                  for measure, test in tests.items()]  # fmt: skip
    return "\n".join([*lines, f"samples read differently: {found.changed:,}"])


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
