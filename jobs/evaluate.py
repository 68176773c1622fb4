"""Measure how well a bundle reads prepared sets.

    python jobs/evaluate.py --bundle runs/first/bundle --data shards/val
    python jobs/evaluate.py --bundle bundles/mobile --then STRONG --data shards/val
    python jobs/evaluate.py --bundle s3://b/bundle --data s3://b/iiit s3://b/svt --out s3://b/report
    ray job submit -- python jobs/evaluate.py --bundle runs/first/bundle --data shards/val

Writes report.html (for people), report.json (for programs, written last) and every prediction as
Parquet in predictions/. Killed and run again, it goes on where it was. With --then, evaluates that
bundle too (its report in then/) and proposes the bound of a cascade of the two: --then and --below
of recognize and serve.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro
from typing_extensions import Doc

from crnn.engines import AUTO
from crnn.files import storage
from crnn.shared_settings import DECODED_BY, EngineName, LexiconFile, Surer, UseGpu
from crnn.text.metrics import Sums, wilson_interval
from jobs import cli
from jobs.flags import BundleAddress, ClusterAddress
from jobs.progress import ProgressLines

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation, Planned
    from pipelines.evaluation.bounds import Bounds

THEN_FOLDER, CASCADE_FILE = "then", "cascade.json"
SHOWN_BOUNDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """What to evaluate, on what, and where the report goes."""

    bundle: BundleAddress
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET [SET ...]")]
    """Prepared sets; the report names each by the last part of its address."""
    out: str = ""
    """Folder of the report: a path, s3:// or gs:// address; default: evaluation-<time> beside the
    bundle, if that is on this machine; the last one, if it is this evaluation, unfinished."""
    then: str = ""
    """A second bundle to evaluate too; a report proposes the confidence of the first one below
    which the second should read a picture: --below of recognize and serve."""
    surer: Surer = False
    points: float = 0.3
    """With --then: how many percentage points of accuracy the proposed bound may lose against the
    most accurate one."""
    measure: Literal["exact", "alnum"] = "exact"
    """With --then: what counts as right, the exact text (exact) or its letters and digits in any
    case (alnum)."""
    decoder: Annotated[
        str, Doc(f"{DECODED_BY}; default: lexicon with --lexicon, else the bundle's own.")
    ] = ""
    lexicon: LexiconFile = ""
    engine: EngineName = AUTO
    held_out_share: float = 0.0
    """Above 0 (up to 1): evaluate only those samples of each set that crnn train with this
    --val-share held out; 0: all samples."""
    limit: int = 0
    """Maximum number of samples of each set, taken from its beginning; 0: all."""
    use_gpu: UseGpu = False
    address: ClusterAddress = ""

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("--data names no set; expected at least one prepared set")
        if not self.points >= 0:
            raise ValueError(f"--points is {self.points}; expected at least 0")


def main(argv: Sequence[str]) -> None:
    """Evaluate as the arguments say, print the figures and where the report is."""
    settings = cli.parse(EvaluateSettings, argv, description=__doc__ or "")
    from jobs.cluster import connect
    from pipelines.claim import alone_at_work

    if settings.then == settings.bundle:
        raise ValueError(f"--then is {settings.then}, the same as --bundle")
    first = _planned(settings.bundle, settings)
    out = settings.out or default_out(first, last=_last_file(settings))
    planned = {out: first}
    if settings.then:
        planned[storage.join(out, THEN_FOLDER)] = _planned(settings.then, settings)
    with alone_at_work(out):
        _begin(planned, last=storage.join(out, _last_file(settings)))
        connect(settings.address or None)
        found = [_evaluated(one, folder) for folder, one in planned.items()]
        if settings.then:
            print(_proposal(found, list(planned), settings), flush=True)


def _last_file(settings: EvaluateSettings) -> str:
    """What is written when all is done."""
    from pipelines.report import JSON_NAME

    return CASCADE_FILE if settings.then else JSON_NAME


def _begin(planned: Mapping[str, Planned], *, last: str) -> None:
    """Take up what is unfinished in these folders; where all was done, begin anew."""
    from pipelines.evaluation import forget_parts
    from pipelines.evaluation.predictions import FOLDER
    from pipelines.report import begin_report

    is_done = storage.exists(last)
    for folder in planned:
        if is_done:
            forget_parts(storage.join(folder, FOLDER))
        begin_report(folder)
    if is_done:
        storage.delete(last)


def _planned(bundle: str, settings: EvaluateSettings) -> Planned:
    from crnn.decode.lexicon import read_lexicon
    from pipelines.evaluation import plan_evaluation
    from pipelines.set_names import set_names

    return plan_evaluation(
        bundle,
        set_names(settings.data),
        decoder=settings.decoder or None,
        lexicon=read_lexicon(settings.lexicon) if settings.lexicon else None,
        engine=settings.engine,
        held_out_share=settings.held_out_share,
        limit=settings.limit,
        use_gpu=settings.use_gpu,
    )


def _evaluated(planned: Planned, out: str) -> Evaluation:
    """Carried out, with its report in place and its figures printed."""
    from pipelines.evaluation import carry_out
    from pipelines.evaluation.predictions import FOLDER
    from pipelines.report import write_report

    lines = ProgressLines("evaluating")
    evaluation = carry_out(
        planned,
        predictions_uri=storage.join(out, FOLDER),
        on_progress=lambda progress: lines(progress.rows, progress.total_rows),
    )
    address = write_report(evaluation, out)
    print(describe(evaluation))
    print(f"report: {address}", flush=True)
    return evaluation


def _proposal(found: Sequence[Evaluation], outs: Sequence[str], settings: EvaluateSettings) -> str:
    """The bounds of a cascade of two evaluated bundles, written to ``cascade.json``, in lines."""
    from pipelines.evaluation.bounds import NEEDED, bounds_of
    from pipelines.evaluation.predictions import FOLDER, read_predictions

    first, second = (read_predictions(storage.join(out, FOLDER), NEEDED) for out in outs)
    bounds = bounds_of(
        first, second, measure=settings.measure, points=settings.points, surer=settings.surer
    )
    text = json.dumps(bounds.to_dict(), indent=1)
    storage.write_bytes(storage.join(outs[0], CASCADE_FILE), text.encode())
    paces = [evaluation.images_per_s for evaluation in found]
    return describe_bounds(bounds, paces, settings)


def default_out(planned: Planned, *, last: str) -> str:
    """A folder beside a local bundle: the latest of this evaluation that has no file ``last``, or
    a new one, named by the time.

    Raises:
        ValueError: for a bundle in an object store.
    """
    from pipelines.evaluation import are_begun, recipe
    from pipelines.evaluation.predictions import FOLDER

    bundle = planned.bundle_uri
    if not storage.is_local(bundle):
        raise ValueError(
            f"--bundle {bundle} is not on this machine; name the folder of the report with --out"
        )
    beside = Path(storage.resolve(bundle)[1]).resolve().parent
    this = recipe(planned)
    for folder in sorted(beside.glob("evaluation-*"), reverse=True):
        if not (folder / last).exists() and are_begun(str(folder / FOLDER), this):
            print(f"going on in {folder}, which is unfinished", flush=True)
            return str(folder)
    return str(beside / time.strftime("evaluation-%Y%m%d-%H%M%S"))


def describe(evaluation: Evaluation) -> str:
    """The figures of each set as a table of plain text."""
    rows: Mapping[str, Sums] = evaluation.by_set
    if len(rows) > 1:
        rows = {**rows, "all": evaluation.total}
    heads = ("set", "samples", "exact", "95% interval", "letters", "0-9 a-z", "CER")
    cells: list[tuple[str, ...]] = [heads]
    cells += [(name, *_figures(sums)) for name, sums in rows.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    problems = [f"{count:,} {reason}" for reason, count in evaluation.problems.most_common()]
    if problems:
        lines.append(f"counted as wrong, out of reach: {', '.join(problems)}")
    lines.append(f"{evaluation.seconds:.1f} s, {evaluation.images_per_s:,.0f} pictures/s")
    return "\n".join(lines)


def describe_bounds(bounds: Bounds, paces: Sequence[float], settings: EvaluateSettings) -> str:
    """A table of some bounds and the proposed one, which is also given as flags.

    ``paces``: pictures a second of each bundle, from which those of the cascade follow.
    """
    proposed = bounds.proposed
    shown = {proposed.below, *SHOWN_BOUNDS}
    heads = ("below", "read again", str(settings.measure), "pictures/s, about")
    rows: list[tuple[str, str, str, str]] = [heads]
    for bound in map(bounds.at, sorted(shown)):
        seconds = 1 / paces[0] + bound.share / paces[1]
        mark = "  <- proposed" if bound == proposed else ""
        cells = (f"{bound.below:.2f}", f"{bound.share:.1%}", f"{bound.accuracy:.2%}")
        rows.append((*cells, f"{1 / seconds:,.0f}{mark}"))
    lines = ["", *(f"{a:>5}  {b:>10}  {c:>7}  {d}" for a, b, c, d in rows)]
    if proposed.below:
        flags = f"--bundle {settings.bundle} --then {settings.then} --below {proposed.below:g}"
        flags += " --surer" if settings.surer else ""
        lines.append(f"proposed, at most {settings.points:g} points below the best: {flags}")
    else:
        lines.append(
            f"{settings.bundle} alone is within {settings.points:g} points of the best: --then "
            "doesn't pay off on these pictures"
        )
    return "\n".join(lines)


def _figures(sums: Sums) -> tuple[str, ...]:
    low, high = wilson_interval(sums.exact, sums.count)
    return (
        f"{sums.count:,}",
        f"{sums.exact_accuracy:.2%}",
        f"{low:.2%} - {high:.2%}",
        _share(sums.letters_accuracy),
        _share(sums.alnum_accuracy),
        f"{sums.character_error_rate:.2%}",
    )


def _share(value: float) -> str:
    """A share as a percentage; a dash where no label counted."""
    return "–" if math.isnan(value) else f"{value:.2%}"


if __name__ == "__main__":
    cli.run(main)
