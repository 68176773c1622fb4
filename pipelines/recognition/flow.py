"""A bulk job from end to end: list, plan, read on Ray, sweep, report.

Ray Data moves numbers of chunks; a task reads its chunk from the plan and leaves a results file.
The driver keeps a few counts, whatever the number of inputs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from crnn import storage
from crnn.bundle import load_bundle
from crnn.decode import CharNgram
from crnn.decode.lexicon import read_lexicon
from crnn.errors import CrnnError, DataError, PlacementError
from crnn.recognizer import Recognizer
from pipelines.recognition.listing import list_inputs
from pipelines.recognition.plan import Chunk, Ledger
from pipelines.recognition.reader import BulkConfig, ChunkOutcome, ChunkReader, ReadConfig
from pipelines.recognition.summary import REPORT_FILE, summarise, write_summary
from pipelines.recognition.sweep import failed_inputs, sweep

WINDOW_CHUNKS = 2048
"""Chunks in one execution of Ray Data, which takes milliseconds a chunk to start."""

_process_reader: tuple[str, ChunkReader] | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is; inputs read in this run."""

    done: int
    total: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did, and what there is now."""

    read: int
    """Inputs read in this run."""
    seconds: float
    """Of reading."""
    report: dict[str, Any]
    """As in ``_report.json``."""
    results_uri: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job whose arguments were found sound, and whose plans are written."""

    ledger: Ledger
    read: ReadConfig
    out_uri: str
    left: list[Chunk]


def plan_work(bundle_uri: str, input_uri: str, out_uri: str, config: BulkConfig) -> Work:
    """Load the bundle, list the inputs, and write down what is new; needs no Ray.

    Raises:
        BundleError: as ``load_bundle``.
        ValueError: for a decoder that there isn't, or arguments that it doesn't take.
        DataError: when there is nothing at ``input_uri``, or ``out_uri`` has rows of this bundle
            that were made with other options.
    """
    bundle = load_bundle(bundle_uri)
    lexicon = read_lexicon(config.lexicon) if config.lexicon else None
    ngram = CharNgram.load(config.ngram) if config.ngram else None
    Recognizer(bundle).decoder(config.decoder or None, lexicon=lexicon, ngram=ngram)
    read = ReadConfig(bundle=bundle, lexicon=lexicon, ngram=ngram, options=config)
    inputs = _not_empty(input_uri, list_inputs(input_uri, all_files=config.all_files))
    out_uri = storage.absolute(out_uri)
    ledger = Ledger(out_uri, bundle.digest)
    ledger.claim(_recipe(bundle.digest, config))
    storage.delete(storage.join(out_uri, REPORT_FILE))  # from here on there may be more to read
    ledger.add(inputs)
    if config.retry_failed:
        ledger.again(failed_inputs(ledger))
    return Work(ledger=ledger, read=read, out_uri=out_uri, left=ledger.chunks_left())


def carry_out(work: Work, on_progress: Callable[[Progress], None] = lambda _: None) -> Outcome:
    """Read what is left on Ray, and write the report last.

    Raises:
        PlacementError: when GPUs are asked for and there are none.
        DataError: when a plan can't be read, or results can't be written.
    """
    began_s, errors, done = time.monotonic(), 0, 0
    total = sum(chunk.rows for chunk in work.left)
    on_progress(Progress(done=0, total=total, errors=0))
    for outcome in _outcomes(work):
        done += outcome.rows
        errors += outcome.errors.total()
        on_progress(Progress(done=done, total=total, errors=errors))
    seconds = time.monotonic() - began_s
    sweep(work.ledger)
    report = summarise(work.ledger, bundle=work.read.bundle)
    write_summary(report, work.out_uri)
    return Outcome(read=done, seconds=seconds, report=report, results_uri=work.ledger.results_uri)


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
            f"there are no pictures at {uri}; expected files that end like pictures (or give "
            "--all-files), or a list of addresses"
        )
    return chain([first], tables)


def _recipe(digest: str, config: BulkConfig) -> dict[str, Any]:
    """What decides the rows, but for the pictures."""
    return {
        "bundle": digest,
        "decoder": config.decoder or None,
        "lexicon": _digest(config.lexicon),
        "ngram": _digest(config.ngram),
        "chars": config.chars,
    }


def _digest(uri: str) -> str | None:
    return hashlib.sha256(storage.read_bytes(uri)).hexdigest() if uri else None


def _outcomes(work: Work) -> Iterator[ChunkOutcome]:
    if not work.left:
        return
    job = _Job(config_ref=ray.put(work.read), results_uri=work.ledger.results_uri)
    for start in range(0, len(work.left), WINDOW_CHUNKS):
        yield from _window(work.left[start : start + WINDOW_CHUNKS], job, work.read.options.use_gpu)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What tasks are sent; the configuration with its model stays in the object store."""

    config_ref: ray.ObjectRef
    results_uri: str


def _window(chunks: Sequence[Chunk], job: _Job, use_gpu: bool) -> Iterator[ChunkOutcome]:
    """Some chunks, each by whichever process is free, in one execution of Ray Data."""
    chunks_ref = ray.put(list(chunks))
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    with DataContext.current(context):
        numbers = ray.data.range(len(chunks), override_num_blocks=len(chunks))
        if use_gpu:
            tables = numbers.map_batches(
                _Process,
                fn_constructor_args=(chunks_ref, job),
                compute=ActorPoolStrategy(size=_gpus()),
                batch_size=1,
                num_gpus=1,
            )
        else:
            tables = numbers.map_batches(
                _read_numbers,  # type: ignore[arg-type]  # its other arguments are in fn_args
                fn_args=(chunks_ref, job),
                batch_size=None,
                num_cpus=1,
            )
        for row in tables.iter_rows():
            outcome: ChunkOutcome | CrnnError = row["outcome"]
            if isinstance(outcome, CrnnError):
                raise outcome
            yield outcome


def _gpus() -> int:
    count = int(ray.cluster_resources().get("GPU", 0))
    if not count:
        raise PlacementError("asked for GPUs, the cluster has none; leave use_gpu out or add some")
    return count


def _read_numbers(
    batch: dict[str, np.ndarray], chunks_ref: ray.ObjectRef, job: _Job
) -> dict[str, np.ndarray]:
    """The outcomes (or the errors) of the chunks of these numbers, one row each."""
    chunks = ray.get(chunks_ref)
    rows = np.empty(len(batch["id"]), dtype=object)
    for row, number in enumerate(batch["id"]):
        try:
            rows[row] = _reader(job)(chunks[int(number)])
        except CrnnError as error:  # returned, so that it reaches the driver as it is
            rows[row] = error
    return {"outcome": rows}


class _Process:
    """``_read_numbers`` in an actor, which keeps its GPU for as long as the job runs."""

    def __init__(self, chunks_ref: ray.ObjectRef, job: _Job) -> None:
        self._chunks_ref, self._job = chunks_ref, job

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return _read_numbers(batch, self._chunks_ref, self._job)


def _reader(job: _Job) -> ChunkReader:
    """This process's reader for a job: built by its first chunk, kept for the next."""
    global _process_reader
    key = job.config_ref.hex()
    if _process_reader is None or _process_reader[0] != key:
        _process_reader = key, ChunkReader(ray.get(job.config_ref), job.results_uri)
    return _process_reader[1]
