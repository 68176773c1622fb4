"""Evaluation on Ray Data: the row is a piece of a row group, never a picture.

Each process loads the bundle once; what comes back to the driver for a piece is its predictions,
which go straight to a file, and a tally.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from crnn import storage
from crnn.bundle import Bundle, load_bundle
from crnn.errors import CharsetError, CrnnError, DataError, PlacementError
from crnn.recognizer import Recognizer
from pipelines.evaluation.plan import Piece, cut, plan_set
from pipelines.evaluation.predictions import PredictionWriter
from pipelines.evaluation.reader import Outcome, PieceReader, ReaderConfig
from pipelines.evaluation.result import Evaluation, SetInfo
from pipelines.evaluation.tally import Tally
from pipelines.shards import Manifest, check_sizes, load_manifest

PIECES_PER_CPU = 4

_process_reader: tuple[str, PieceReader] | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an evaluation is."""

    samples: int
    """Samples read."""
    rows: int
    total_rows: int
    """Rows looked at, and all there are; rows that aren't held out are looked at, not read."""
    elapsed_s: float

    @property
    def images_per_s(self) -> float:
        """Samples read a second so far."""
        return self.samples / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """At the rate so far; infinite before the first result."""
        if not self.rows:
            return math.inf
        return self.elapsed_s * (self.total_rows - self.rows) / self.rows


def evaluate(
    bundle_uri: str,
    sets: Mapping[str, str],
    *,
    decoder: str | None = "greedy",
    lexicon: Sequence[str] | None = None,
    held_out_share: float = 0.0,
    limit: int = 0,
    predictions_uri: str | None = None,
    use_gpu: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Read every sample of some prepared sets with a bundle, and judge the readings.

    A sample whose label the charset can't write, or whose picture can't be read, counts like
    any other (the reading isn't exactly right) and is listed by reason.

    Args:
        bundle_uri: folder or address of the bundle.
        sets: name → address of a prepared set.
        decoder: a name of ``crnn.decode.DECODERS``; None for the bundle's own, or ``lexicon``
            where a lexicon is given.
        lexicon: the words allowed, for the lexicon decoder.
        held_out_share: above 0, only samples that ``is_held_out`` of this share.
        limit: at most so many samples of each set; 0 for all.
        predictions_uri: a folder for all predictions, as Parquet of ``PREDICTION_SCHEMA``.
        use_gpu: one process for each GPU of the cluster, in place of one for each CPU.
        on_progress: called on the driver with each result that comes in.

    Raises:
        ValueError: for bad arguments.
        BundleError: as ``load_bundle``.
        DataError: for a set that is missing, unfinished, damaged or without a sample to read.
        CharsetError: when the bundle's charset has no character of a set.
    """
    _check_arguments(sets, held_out_share, limit)
    bundle = load_bundle(bundle_uri)
    Recognizer(bundle).decoder(decoder, lexicon=lexicon)
    absolute = {name: _absolute(uri) for name, uri in sets.items()}
    manifests = {name: _manifest(bundle, uri) for name, uri in absolute.items()}
    pieces = [
        piece
        for name, uri in absolute.items()
        for piece in plan_set(
            name, uri, manifests[name], held_out_share=held_out_share, limit=limit
        )
    ]
    config = ReaderConfig(
        bundle=bundle,
        decoder=decoder,
        lexicon=lexicon,
        held_out_share=held_out_share,
        use_gpu=use_gpu,
    )
    started, begin = datetime.now(UTC), time.perf_counter()
    tally, readings = _collect(_outcomes(config, pieces), pieces, predictions_uri, on_progress)
    _check_read(sets, tally, held_out_share)
    return Evaluation(
        bundle_uri=bundle_uri,
        bundle_name=bundle.name,
        bundle_digest=bundle.digest,
        decoder=decoder or ("lexicon" if lexicon is not None else bundle.decoder),
        lexicon_words=len(lexicon or ()),
        calibration=bundle.calibration,
        held_out_share=held_out_share,
        limit=limit,
        sets={
            name: SetInfo(uri=sets[name], digest=m.digest, prepared_rejects=m.rejects)
            for name, m in manifests.items()
        },
        tally=tally,
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - begin,
        **readings,
    )


def _check_arguments(sets: Mapping[str, str], held_out_share: float, limit: int) -> None:
    if not sets:
        raise ValueError("there is no set to evaluate; give at least one prepared set")
    if not 0 <= held_out_share <= 1:
        raise ValueError(f"held_out_share is {held_out_share}; expected 0 (all samples) to 1")
    if limit < 0:
        raise ValueError(f"limit is {limit}; expected 0 (all) or a number of samples")


def _absolute(uri: str) -> str:
    return storage.resolve(uri)[1] if storage.is_local(uri) else uri


def _manifest(bundle: Bundle, uri: str) -> Manifest:
    """The manifest of a set that is whole and in reach of the bundle's charset."""
    manifest = load_manifest(uri)
    if not manifest.count:
        raise DataError(f"{uri} holds no samples; its rejects are {manifest.rejects}")
    check_sizes(uri, manifest)
    if manifest.characters and not set(manifest.characters) & set(bundle.charset.characters):
        raise CharsetError(
            f"the charset of the bundle {bundle.name!r} has none of the characters of {uri}: "
            f"{bundle.charset.characters!r} against {''.join(manifest.characters)!r}; "
            "evaluate a bundle that was trained for this kind of text"
        )
    return manifest


def _check_read(sets: Mapping[str, str], tally: Tally, held_out_share: float) -> None:
    for name in sets:
        if not any(key[0] == name for key in tally.sums):
            raise DataError(
                f"no sample of {sets[name]} falls in the held-out share of {held_out_share}; "
                "raise it, or evaluate the whole set with 0"
            )


def _collect(
    outcomes: Iterator[Outcome],
    pieces: list[Piece],
    predictions_uri: str | None,
    on_progress: Callable[[Progress], None] | None,
) -> tuple[Tally, dict[str, Any]]:
    """The sum of all tallies, and the arrays of confidence and correctness."""
    tally, read_parts, begin = Tally(), [], time.perf_counter()
    rows, total_rows = 0, sum(piece.rows for piece in pieces)
    with PredictionWriter(predictions_uri) if predictions_uri else nullcontext() as writer:
        for outcome in outcomes:
            tally.add(outcome.tally)
            rows += outcome.rows
            if writer is not None:
                writer.write(outcome.predictions)
            read_parts.append(_readings(outcome.predictions))
            if on_progress is not None:
                on_progress(
                    Progress(
                        samples=sum(sums.count for sums in tally.sums.values()),
                        rows=rows,
                        total_rows=total_rows,
                        elapsed_s=time.perf_counter() - begin,
                    )
                )
    return tally, {
        name: np.concatenate([part[name] for part in read_parts]) for name in _readings(None)
    }


def _readings(predictions: pa.Table | None) -> dict[str, np.ndarray]:
    """What calibration looks at, for the samples whose picture could be read."""
    if predictions is None:
        return {
            "log_probabilities": np.empty(0),
            "confidences": np.empty(0),
            "correct": np.empty(0),
        }
    read = predictions.filter(predictions["log_probability"].is_valid())
    return {
        "log_probabilities": read["log_probability"].to_numpy(),
        "confidences": read["confidence"].to_numpy(),
        "correct": read["exact"].to_numpy(),
    }


def _outcomes(config: ReaderConfig, pieces: list[Piece]) -> Iterator[Outcome]:
    """The outcomes of all pieces, in their order."""
    config_ref = ray.put(config)
    processes = _processes(use_gpu=config.use_gpu)
    job = _Job(config_ref=config_ref, pieces=cut(pieces, processes * PIECES_PER_CPU))
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    with DataContext.current(context):
        numbers = ray.data.range(len(job.pieces), override_num_blocks=len(job.pieces))
        tables = (
            numbers.map_batches(
                _Process,
                fn_constructor_args=(job,),
                compute=ActorPoolStrategy(size=min(processes, len(job.pieces))),
                batch_size=1,
                num_gpus=1,
            )
            if config.use_gpu
            else numbers.map_batches(
                _read_numbers,  # type: ignore[arg-type]  # its second argument is in fn_args
                fn_args=(job,),
                batch_size=None,
                num_cpus=1,
            )
        )
        for row in tables.iter_rows():
            outcome = pickle.loads(row["outcome"])
            if isinstance(outcome, CrnnError):
                raise outcome
            yield outcome


def _processes(*, use_gpu: bool) -> int:
    """How many pieces the cluster reads at a time."""
    resources = ray.cluster_resources()
    count = int(resources.get("GPU" if use_gpu else "CPU", 0))
    if use_gpu and not count:
        raise PlacementError("asked for GPUs, the cluster has none; leave use_gpu out or add some")
    return max(1, count)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What tasks are sent; the configuration with its model stays in the object store."""

    config_ref: ray.ObjectRef
    pieces: list[Piece]


def _read_numbers(batch: dict[str, np.ndarray], job: _Job) -> pa.Table:
    """The outcomes (or the errors) of the pieces of these numbers, one row each."""
    rows = [pickle.dumps(_outcome(job, job.pieces[int(number)])) for number in batch["id"]]
    return pa.table({"outcome": pa.array(rows, pa.large_binary())})


class _Process:
    """``_read_numbers`` in an actor, which keeps its GPU for as long as the job runs."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        return _read_numbers(batch, self._job)


def _outcome(job: _Job, piece: Piece) -> Outcome | CrnnError:
    """An error is returned, so that it reaches the driver as it is; Ray would wrap it."""
    try:
        return _reader(job.config_ref)(piece)
    except CrnnError as error:
        return error


def _reader(config_ref: ray.ObjectRef) -> PieceReader:
    """This process's reader for an evaluation: built by its first piece, kept for the next."""
    global _process_reader
    key = config_ref.hex()
    if _process_reader is None or _process_reader[0] != key:
        _process_reader = key, PieceReader(ray.get(config_ref))
    return _process_reader[1]
