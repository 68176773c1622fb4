"""Read every picture of a folder, a bucket or a list; or a few pictures in this process.

    python jobs/recognize.py picture.png
    python jobs/recognize.py --pages page.jpg book.pdf
    python jobs/recognize.py --json 'crops/*.png' other.jpg
    python jobs/recognize.py --bundle runs/first/bundle --input crops/ --output results/
    python jobs/recognize.py --then STRONG --below 0.9 --input crops/ --output results/
    python jobs/recognize.py --pages --input scans/ --output results/
    python jobs/recognize.py --follow --input s3://b/incoming --output s3://b/results
    python jobs/recognize.py --follow --events QUEUE_URL --input s3://b/in --output s3://b/out
    python jobs/recognize.py --bundle s3://b/bundle --input s3://b/crops --output s3://b/results
    ray job submit -- python jobs/recognize.py --bundle B --input 's3://b/2026/*.png' --output O

Pictures without --output are read in this process, without Ray, and printed a line each: text,
confidence, name. One that can't be read is reported on stderr and makes the exit status 1. With
--output, every input gets one row in OUTPUT/model=<digest>/*.parquet, with --pages every line of
every page; _report.json is written last.
If it is killed, the same command continues where it stopped. Run again later, it reads only what
is new or has changed. With --follow it doesn't end: it lists the input again and again, or takes
events from a queue, and reads what has come, until Ctrl-C or SIGTERM; then it writes the report.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.errors import DataError
from crnn.files import storage
from jobs import cli
from jobs.flags import BundleDigest, BundleOrIncluded, ClusterAddress
from jobs.progress import ProgressLines
from jobs.progress_file import ProgressFile
from pipelines.recognition.config import (
    EVERY_S,
    MOST_EVERY_S,
    MOST_RELIST_S,
    RELIST_S,
    BulkConfig,
    ReadOptions,
)

if TYPE_CHECKING:
    from pipelines.recognition import BulkWork, Follow, Outcome, Progress
    from pipelines.recognition.rows import Counted

_HERE = {"pictures", "json", "bundle", "digest", *(f.name for f in fields(ReadOptions))}
"""Settings that mean something for pictures read here."""
_QUEUE_URL = re.compile(r"https?://[^/]+/.*[^/]")


@dataclass(frozen=True, kw_only=True)
class RecognizeSettings(BulkConfig):
    """What to read, with what, and where the rows go."""

    pictures: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[PICTURE ...]")
    ] = ()
    """Pictures to read in this process, instead of --input and --output: paths, addresses, folders,
    patterns such as 'crops/*.png'."""
    json: bool = False
    """With pictures read here: print JSON, one object a line."""
    bundle: BundleOrIncluded = ""
    input: str = ""
    """A folder or prefix, one picture, a pattern such as 'crops/*.png', a prepared set, or a
    .parquet or .csv file with a column uri (optionally etag, and the region to cut out: x0 y0 x1
    y1, box or polygon, in px)."""
    output: str = ""
    """Folder of the results: a path, s3:// or gs:// address."""
    address: ClusterAddress = ""
    digest: BundleDigest = ""
    progress: str = ""
    """JSON file to write the job's progress to, for other programs: a path, s3:// or gs://."""
    follow: bool = False
    """Go on with the pictures that come, until Ctrl-C or SIGTERM."""
    every_s: float = EVERY_S
    """With --follow: seconds from the end of a listing of the input to the next; with --events from
    one batch of messages to the next."""
    events: str = ""
    """With --follow: URL of the SQS queue to which the input's bucket sends its events. It tells
    what has come, so that the input, s3://, needn't be listed again and again."""
    relist_s: float = RELIST_S
    """With --events: seconds from the end of a listing of the input to the next, for events that
    were lost."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_follow()
        if self.pictures:
            self._check_here()
        elif not (self.input and self.output):
            raise ValueError(
                "expected pictures to read here, or --input and --output for a bulk job; "
                f"--input is {self.input!r}, --output {self.output!r}"
            )
        elif self.json:
            raise ValueError("--json goes with pictures read here; a bulk job writes Parquet")

    def _check_follow(self) -> None:
        for flag, value, most in (
            ("--every-s", self.every_s, MOST_EVERY_S),
            ("--relist-s", self.relist_s, MOST_RELIST_S),
        ):
            if not 0 < value <= most:
                raise ValueError(f"{flag} is {value:g}; expected above 0, to {most:,.0f} s")
        if self.every_s != EVERY_S and not self.follow:
            raise ValueError(f"--every-s {self.every_s:g}: only with --follow")
        if self.relist_s != RELIST_S and not self.events:
            raise ValueError(f"--relist-s {self.relist_s:g}: only with --events")
        if self.events and not self.follow:
            raise ValueError(f"--events {self.events}: only with --follow")
        if self.events and not _QUEUE_URL.match(self.events):
            raise ValueError(
                f"--events is {self.events!r}; expected the URL of an SQS queue, such as "
                "https://sqs.eu-central-1.amazonaws.com/123456789012/NAME, as aws sqs "
                "get-queue-url --queue-name NAME gives it"
            )
        if self.events and not self.input.startswith("s3://"):
            raise ValueError(
                f"--events tells what comes to a bucket of S3; --input is {self.input!r}, "
                "expected s3://bucket/prefix"
            )

    def _check_here(self) -> None:
        """ValueError for what was set and goes with a bulk job only."""
        usual = {field.name: field.default for field in fields(self)}
        wrong = [name for name in usual.keys() - _HERE if getattr(self, name) != usual[name]]
        if wrong:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(wrong))
            raise ValueError(
                f"{flags} can't be used with pictures read here, such as {self.pictures[0]!r}; "
                "for a bulk job give --input and --output"
            )


def main(argv: Sequence[str]) -> None:
    """Read as the arguments say, and print what came of it."""
    settings = cli.parse(RecognizeSettings, argv, description=__doc__ or "")
    from crnn.bundle.shipped import default_bundle
    from jobs.following import stopped_by_signals
    from jobs.read_here import check_digest, read_here
    from pipelines.recognition import plan_work

    settings = replace(settings, bundle=settings.bundle or default_bundle())
    if settings.pictures:
        check_digest(settings.bundle, settings, settings.digest)
        if read_here(settings.pictures, settings.bundle, settings, as_json=settings.json):
            sys.exit(1)
        return
    file = ProgressFile(settings.progress)
    with file.telling():
        check_digest(settings.bundle, settings, settings.digest)
        follow = _follow(settings) if settings.follow else None
        with stopped_by_signals(follow):
            work = plan_work(
                settings.bundle, settings.input, settings.output, settings, follow=follow
            )
            file.begin(_rows_there(work) if settings.progress else 0)
            outcome = _carried_out(work, settings, file)
        print(describe(outcome), flush=True)
        if not outcome.left:
            _check_found(outcome, settings.input)
            file.finished(outcome.report, outcome.page)


def _follow(settings: RecognizeSettings) -> Follow:
    from pipelines.recognition import Follow

    return Follow(
        settings.input,
        settings.every_s,
        events=settings.events,
        relist_s=settings.relist_s,
    )


def _carried_out(work: BulkWork, settings: RecognizeSettings, file: ProgressFile) -> Outcome:
    from jobs.cluster import connect
    from jobs.following import FollowLines, stopped_by_signals
    from pipelines.recognition import carry_out, progress
    from pipelines.recognition.rows import Counted

    lines = ProgressLines("recognizing")
    following = FollowLines()
    if settings.pages:
        lines = ProgressLines("recognizing", unit="files", paced_by="pages")

    def report(now: Progress) -> None:
        more = "" if now.listed else ", still listing"
        found = now.counted or Counted()
        each = f", {_pages_and_lines(found)}" if settings.pages else ""
        if now.followed:
            following(now, now.followed, each)
        else:
            note = f"{each}, {now.errors:,} errors{more}"
            lines(now.done, now.total, note, final=now.listed, paced=found.pages)
        file(now.done, now.errors, now.total, listed=now.listed)

    while not work.agenda.wait():
        report(progress(work))
    if work.agenda.rows:
        connect(settings.address or None)
    with stopped_by_signals(work.follow):  # Ray has taken SIGTERM
        return carry_out(work, report)


def _check_found(outcome: Outcome, input_uri: str) -> None:
    """DataError where not one input could even be opened: the addresses are wrong, not some."""
    from pipelines.recognition.source import UNOPENED

    report = outcome.report
    unopened = {code: n for code, n in report["errors"].items() if code in UNOPENED}
    if report["rows"] and sum(unopened.values()) == report["rows"]:
        counts = ", ".join(f"{count:,} {code}" for code, count in unopened.items())
        first = next(iter(report["error_examples"].values()))[0]
        raise DataError(
            f"none of the pictures that {input_uri} names could be opened ({counts}), such as "
            f"{first['uri']}: {first['message']}; a list's relative addresses are relative to "
            "the list. Their rows stay; correct the input and run it again"
        )


def _rows_there(work: BulkWork) -> int:
    """Rows of the output, from all jobs."""
    there = {storage.base_name(address) for address in work.ledger.parts()}
    chunks = (chunk for plan in work.ledger.plans() for chunk in plan.chunks())
    return sum(chunk.rows for chunk in chunks if chunk.part in there)


def describe(outcome: Outcome) -> str:
    """What was done, and what lies there now, in a few lines."""
    from jobs.following import came

    report, counted = outcome.report, outcome.counted
    if outcome.left:
        return (
            f"read {outcome.read:,} inputs in this run\n{outcome.results_uri} is unfinished: "
            f"{outcome.left:,} inputs that were found are left; run the same command again to go on"
        )
    errors = ", ".join(f"{count:,} {code}" for code, count in report["errors"].items())
    what, speed = "pictures", f"{outcome.read / (outcome.seconds or 1):,.0f}/s"
    if counted is not None:
        what = f"files with {_pages_and_lines(counted)}"
        speed = f"{counted.pages / (outcome.seconds or 1):,.1f} pages/s"
    pace = f", {speed} after {outcome.start_seconds:.1f} s of start" if outcome.read else ""
    by = ", ".join(f"{one['read']:,} by {one['name']}" for one in report["read_by"])
    each = f" ({by})" if len(report["read_by"]) > 1 else ""
    rows = f"{report['rows']:,} rows, {report['read']:,} read{each}"
    return (
        f"read {outcome.read:,} {what} in this run{pace}\n{came(outcome.lag, outcome.messages)}"
        f"{outcome.results_uri} is complete: {rows}, "
        f"errors: {errors or 'none'}\nreport: {outcome.page}"
    )


def _pages_and_lines(counted: Counted) -> str:
    return f"{counted.pages:,} pages, {counted.lines:,} lines"


if __name__ == "__main__":
    cli.run(main)
