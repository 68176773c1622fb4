"""A bulk job from end to end: list, plan, read on Ray, sweep, report.

Ray Data moves numbers of chunks; a task reads its chunks from the plan and leaves their results
files. The driver keeps a few counts, regardless of the number of inputs, and 16 bytes for each
input that it has planned.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
import ray

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.decode import CharNgram
from crnn.decode.lexicon import read_lexicon
from crnn.engines import OF_TORCH, REDUCED, check_engine, engine_for
from crnn.errors import DataError
from crnn.files import storage
from crnn.inference.doubt import Then
from crnn.inference.recognizer import Recognizer
from crnn.pages.detector import Detector
from pipelines.agenda import Agenda
from pipelines.claim import Hold
from pipelines.ledger import Chunk, number_of
from pipelines.prefixes import leads_out
from pipelines.recognition.arrivals import MessageCounts
from pipelines.recognition.config import BulkConfig
from pipelines.recognition.finished import REPORT_FILE
from pipelines.recognition.follow import Follow, Followed, Lag
from pipelines.recognition.inputs import pages
from pipelines.recognition.known import Known
from pipelines.recognition.listing import bucket_folder, list_inputs
from pipelines.recognition.page_lines import CHUNK_FILES, whole_files
from pipelines.recognition.plan import CHUNK_ROWS, Ledger, Plan
from pipelines.recognition.reader import ChunkOutcome, ChunkReadConfig, ChunkReader
from pipelines.recognition.rows import Counted
from pipelines.recognition.summary import RunFigures, summarise, write_summary
from pipelines.recognition.sums import Summed
from pipelines.recognition.sweep import failed_inputs, sweep
from pipelines.recognition.thumbnails import thumbnails
from pipelines.spread import Processes, spread

TASK_CHUNKS = 128
"""Most chunks that one task reads, one after another."""
_LEAD = 1.5
"""A task is a process's fair share of what is left, divided by this: Ray Data takes 0.1 to 0.2 s
from one task to the next, so tasks are few; a process may still be this many times slower."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is; inputs read in this run."""

    done: int
    total: int
    """As far as is known."""
    listed: bool
    """Whether all inputs are listed, so that ``total`` stays as it is."""
    errors: int
    counted: Counted | None = None
    """Pages and lines, where the job reads whole pages."""
    followed: Followed | None = None
    """Where the job goes on with what comes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did, and what there is now."""

    read: int
    """Inputs read in this run."""
    counted: Counted | None
    """Their pages and lines, where the job reads whole pages."""
    start_seconds: float
    """Until the first picture was fetched: processes that start, and load the model."""
    seconds: float
    """From then until the last row was written."""
    report: dict[str, Any]
    """As in ``_report.json``; empty where inputs are left."""
    page: str
    """Address of the page that shows it; empty where inputs are left."""
    results_uri: str
    left: int = 0
    """Inputs not read, where the job was told to stop; nothing reports them as complete."""
    lag: Lag | None = None
    """How long those that came while it ran had to wait."""
    messages: MessageCounts | None = None
    """What came from a queue of events, if there is one."""


@dataclass(frozen=True, kw_only=True)
class BulkWork:
    """A job whose arguments were found sound; its inputs are being listed."""

    ledger: Ledger
    read: ChunkReadConfig
    out_uri: str
    hold: Hold
    """Lock on the output until the job is done."""
    agenda: Agenda
    follow: Follow | None = None
    """Where it goes on with what comes, until told to stop."""
    summed: Summed = field(default_factory=Summed)
    """What the results files of this run add up to."""


def plan_work(
    bundle_uri: str,
    input_uri: str,
    out_uri: str,
    config: BulkConfig,
    *,
    follow: Follow | None = None,
) -> BulkWork:
    """Load the bundle, and begin to list the inputs and to write down what is new; without Ray.

    With ``follow`` it goes on looking for inputs until it is told to stop.

    Raises:
        BundleError: as ``load_bundle``; when both bundles of a cascade are the same.
        EngineError: when a bundle can't be read with the engine.
        ValueError: for a decoder that there isn't, or arguments that it doesn't take.
        DataError: when there is nothing at ``input_uri``, or ``out_uri`` has rows of this bundle
            that were made with other options, another job is at work there, or links lead out of
            the folders allowed; when ``follow`` takes events, and ``input_uri`` is no prefix of S3.
    """
    bundle = load_bundle(bundle_uri)
    then = config.second()
    digest = then.digest(bundle) if then else bundle.digest
    lexicon = read_lexicon(config.lexicon) if config.lexicon else None
    ngram = CharNgram.load(config.ngram) if config.ngram else None
    for one in (bundle, then.bundle) if then else (bundle,):
        check_engine(config.engine, one, config.device)
        Recognizer(one).decoder(config.decoder or None, lexicon=lexicon, ngram=ngram)
    out_uri = storage.absolute(out_uri)
    listing = partial(_listing, input_uri, out_uri, config)
    if follow and follow.events:
        _take_events(follow, input_uri, out_uri, config)
    detector = config.page_detector() if config.pages else None
    inputs = iter(()) if follow else _not_empty(input_uri, listing())
    ledger = Ledger(out_uri, digest, chunk_rows=CHUNK_FILES if config.pages else CHUNK_ROWS)
    _check_output(config.prefixes, out_uri, ledger.results_uri, ledger.work_uri)
    hold = Hold(out_uri)
    ledger.claim(_recipe(bundle, then, detector, config))
    storage.delete(storage.join(out_uri, REPORT_FILE))  # from here on there may be more to read
    if config.retry_failed:
        failed = failed_inputs(ledger)
        list(ledger.add(whole_files(failed) if config.pages else failed))
    read = ChunkReadConfig(
        bundle=bundle, then=then, detector=detector, lexicon=lexicon, ngram=ngram, options=config
    )
    return BulkWork(
        ledger=ledger,
        read=read,
        out_uri=out_uri,
        hold=hold,
        agenda=Agenda(
            ledger.chunks_left(),
            follow.plans(ledger, listing) if follow else _plans(ledger, inputs),
        ),
        follow=follow,
    )


def _listing(input_uri: str, out_uri: str, config: BulkConfig) -> Iterator[pa.Table]:
    """What there is to read; of pages whole files."""
    found = list_inputs(input_uri, **_chosen(out_uri, config), ignore_columns=config.ignore_columns)
    return whole_files(found) if config.pages else found


def _take_events(follow: Follow, input_uri: str, out_uri: str, config: BulkConfig) -> None:
    folder = bucket_folder(input_uri, **_chosen(out_uri, config))
    follow.take_events(folder, whole_files if config.pages else pages)


def _chosen(out_uri: str, config: BulkConfig) -> dict[str, Any]:
    """Which files of a folder are inputs, as ``listing`` takes it."""
    return {
        "all_files": config.all_files,
        "documents": config.pages,
        "without": out_uri,
        "prefixes": config.prefixes,
    }


def _check_output(prefixes: tuple[str, ...], *folders: str) -> None:
    for folder in folders:
        if leads_out(folder, prefixes):
            raise DataError(
                f"{folder} is, or lies in, a symbolic link that leads out of the folders that may "
                f"be used: {', '.join(prefixes)}; give a folder that lies in them"
            )


def carry_out(work: BulkWork, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Read what is left on Ray, and write the report last.

    Raises:
        PlacementError: when GPUs are asked for and there are none.
        DataError: when the listing broke off, a plan can't be read, or results can't be written.
    """
    with work.hold:
        return _carried_out(work, on_progress)


def _carried_out(work: BulkWork, on_progress: Callable[[Progress], None]) -> Outcome:
    begin, done, errors = time.time(), 0, 0
    began, ended = math.inf, begin
    counted = Counted() if work.read.options.pages else None
    on_progress(progress(work, counted=counted))
    for outcome in _outcomes(work):
        if outcome is not None:
            done += outcome.rows
            errors += outcome.sums.errors.total()
            work.summed.add(outcome.part, outcome.sums)
            began, ended = min(began, outcome.began), max(ended, outcome.ended)
            counted = counted and counted.plus(outcome.counted or Counted())
        on_progress(progress(work, done=done, errors=errors, counted=counted))
    began = min(began, ended)
    _sweep(work)
    run = RunFigures(
        pictures=done,
        counted=counted,
        seconds=ended - began,
        started=_utc(begin),
        finished=_utc(time.time()),
    )
    left = sum(chunk.rows for chunk in work.ledger.chunks_left()) if work.follow else 0
    report, page = ({}, "") if left else _reported(work, run)
    return Outcome(
        read=done,
        counted=counted,
        start_seconds=began - begin,
        seconds=ended - began,
        report=report,
        page=page,
        results_uri=work.ledger.results_uri,
        left=left,
        lag=work.follow.lag() if work.follow else None,
        messages=work.follow.messages if work.follow else None,
    )


def _reported(work: BulkWork, run: RunFigures) -> tuple[dict[str, Any], str]:
    """The report, written last, and the address of its page."""
    report = summarise(
        work.ledger,
        bundle=work.read.bundle,
        then=work.read.then,
        run=run,
        summed=work.summed,
    )
    pictures = thumbnails(report["least_confident"], work.read.options.prefixes)
    return report, write_summary(report, work.out_uri, pictures)


def progress(
    work: BulkWork, *, done: int = 0, errors: int = 0, counted: Counted | None = None
) -> Progress:
    """Progress after this number of inputs."""
    agenda = work.agenda
    return Progress(
        done=done,
        total=agenda.rows,
        listed=agenda.complete,
        errors=errors,
        counted=counted,
        followed=work.follow.now() if work.follow else None,
    )


def recognize(
    bundle_uri: str,
    input_uri: str,
    out_uri: str,
    config: BulkConfig,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Outcome:
    """``plan_work``, then ``carry_out``; see there."""
    return carry_out(plan_work(bundle_uri, input_uri, out_uri, config), on_progress)


def _not_empty(uri: str, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; there is a first one."""
    first = next(tables, None)
    if first is None:
        raise DataError(
            f"there are no pictures at {uri}; expected files with a picture's suffix (or give "
            "--all-files), or a list of addresses"
        )
    return chain([first], tables)


def _plans(ledger: Ledger, inputs: Iterator[pa.Table]) -> Iterator[Plan]:
    """Plans of what is new or has changed, each when it is written down."""
    known = Known(ledger.inputs(plan) for plan in reversed(ledger.plans()))
    yield from ledger.add(known.fresh(page) for page in inputs)


def _recipe(
    bundle: Bundle, then: Then | None, detector: Detector | None, config: BulkConfig
) -> dict[str, Any]:
    """What decides the rows, but for the pictures."""
    return {
        "bundle": bundle.digest,
        "then": then.bundle.digest if then else None,
        "below": then.below if then else None,
        **({"surer": True} if then and then.surer else {}),
        "detector": detector.name if detector else None,
        "dpi": config.dpi if detector else None,
        "max_pages": config.max_pages if detector else None,
        "decoder": config.decoder or None,
        "lexicon": _digest(config.lexicon),
        "ngram": _digest(config.ngram),
        "chars": config.chars,
        "min_confidence": config.min_confidence,
        "reduced": config.engine if config.engine in REDUCED else None,
    }


def _digest(uri: str) -> str | None:
    return hashlib.sha256(storage.read_bytes(uri)).hexdigest() if uri else None


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _outcomes(work: BulkWork) -> Iterator[ChunkOutcome | None]:
    """The outcome of each chunk, when its rows are written; None after a moment without one."""
    config_ref: ray.ObjectRef | None = None
    options = work.read.options
    then = work.read.then
    engines = {
        engine_for(options.engine, bundle, options.device)
        for bundle in ((work.read.bundle, then.bundle) if then else (work.read.bundle,))
    }
    processes = Processes(
        use_gpu=options.use_gpu, most=options.workers, keep_heap=bool(engines & OF_TORCH)
    )
    while True:
        ready = work.agenda.wait()
        window = work.agenda.take()
        if window:
            config_ref = config_ref or ray.put(work.read)
            is_last = work.agenda.over or work.follow is not None
            tasks = _tasks(window, processes.count(), is_last=is_last)
            with closing(spread(ChunkReader, config_ref, tasks, processes)) as outcomes:
                yield from _followed(outcomes, work) if work.follow else outcomes
        elif ready:
            return
        else:
            yield None
        if work.follow and work.follow.stopped:
            return


def _followed(outcomes: Iterator[ChunkOutcome], work: BulkWork) -> Iterator[ChunkOutcome]:
    """The same, until the job was told to stop and a while has gone by; then the sweep."""
    assert work.follow is not None
    for outcome in outcomes:
        work.follow.read(number_of(outcome.part), outcome.ended)
        yield outcome
        if work.follow.overdue:
            return
    work.follow.may_sweep(lambda: _sweep(work))


def _sweep(work: BulkWork) -> None:
    if sweep(work.ledger):
        work.summed.forget()


def _tasks(
    chunks: Sequence[Chunk], processes: int, *, is_last: bool = True
) -> list[Sequence[Chunk]]:
    """Neighbouring chunks together, in the last window fewer and fewer, so that all processes end
    together: guided self-scheduling (Polychronopoulos & Kuck 1987). Before, two parts for each.
    """
    tasks: list[Sequence[Chunk]] = []
    even = -(-len(chunks) // (2 * processes))
    while chunks:
        share = int(len(chunks) / (_LEAD * processes)) if is_last else even
        size = max(1, min(TASK_CHUNKS, share))
        tasks.append(chunks[:size])
        chunks = chunks[size:]
    return tasks
