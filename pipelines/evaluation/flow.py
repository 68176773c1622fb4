"""Evaluation from end to end: check, spread over Ray, sum up on the driver.

What comes back to the driver for a piece is its predictions, which go straight to a file, and a
tally; memory grows by a few numbers a sample. An evaluation that writes its predictions goes on
behind those that it wrote before it was killed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from crnn.engines import AUTO
from crnn.errors import DataError
from pipelines.evaluation.parts import Covered, Parts, recipe
from pipelines.evaluation.plan import behind
from pipelines.evaluation.planned import Planned, plan_evaluation
from pipelines.evaluation.result import Evaluation, SetInfo
from pipelines.evaluation.spread import outcomes
from pipelines.evaluation.tally import ReadingTally


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
    engine: str = AUTO,
    held_out_share: float = 0.0,
    limit: int = 0,
    use_gpu: bool = False,
    predictions_uri: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Read every sample of some prepared sets with a bundle, and judge the readings.

    A sample whose label the charset can't write, or whose picture can't be read, counts like
    any other (the reading isn't exactly right) and is listed by reason.

    ``plan_evaluation``, then ``carry_out``; see there for arguments and errors.
    """
    planned = plan_evaluation(
        bundle_uri,
        sets,
        decoder=decoder,
        lexicon=lexicon,
        engine=engine,
        held_out_share=held_out_share,
        limit=limit,
        use_gpu=use_gpu,
    )
    return carry_out(planned, predictions_uri=predictions_uri, on_progress=on_progress)


def carry_out(
    planned: Planned,
    *,
    predictions_uri: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Read and judge what was planned, on Ray.

    Args:
        planned: by ``plan_evaluation``.
        predictions_uri: a folder for all predictions, as Parquet of ``PREDICTION_SCHEMA``; those
            that lie there from the same evaluation count, and aren't read again.
        on_progress: called on the driver with each result that comes in.

    Raises:
        DataError: for a damaged shard, or a set without a sample in the held-out share.
        PlacementError: when GPUs are asked for and there are none.
    """
    config, bundle = planned.config, planned.config.bundle
    started = datetime.now(UTC)
    with Parts(predictions_uri, recipe(planned)) if predictions_uri else nullcontext() as parts:
        covered, readings = _collect(planned, parts, on_progress)
    _check_read(planned.sets, covered.tally, config.held_out_share)
    implied = "lexicon" if config.lexicon is not None else bundle.decoder
    return Evaluation(
        bundle_uri=planned.bundle_uri,
        bundle_name=bundle.name,
        bundle_digest=bundle.digest,
        decoder=config.decoder or implied,
        lexicon_words=len(config.lexicon or ()),
        engines=tuple(sorted(covered.engines)),
        calibration=bundle.calibration,
        held_out_share=config.held_out_share,
        limit=planned.limit,
        sets={
            name: SetInfo(uri=planned.sets[name], digest=m.digest, prepared_rejects=m.rejects)
            for name, m in planned.manifests.items()
        },
        tally=covered.tally,
        started=started.isoformat(timespec="seconds"),
        seconds=covered.seconds,
        **readings,
    )


def _check_read(sets: Mapping[str, str], tally: ReadingTally, held_out_share: float) -> None:
    for name in sets:
        if not any(key[0] == name for key in tally.sums):
            raise DataError(
                f"no sample of {sets[name]} falls in the held-out share of {held_out_share}; "
                "raise it, or evaluate the whole set with 0"
            )


def _collect(
    planned: Planned, parts: Parts | None, on_progress: Callable[[Progress], None] | None
) -> tuple[Covered, dict[str, Any]]:
    """The sums over all rows, and the arrays of confidence and correctness."""
    covered, read = Covered(), [_readings(None)]
    for before, predictions in parts.taken_up() if parts else ():
        covered.add(before)
        read.append(_readings(predictions))
    total_rows, before_s, begin = planned.rows, covered.seconds, time.perf_counter()

    def tell() -> None:
        covered.seconds = before_s + time.perf_counter() - begin
        if on_progress is not None and covered.rows:
            on_progress(
                Progress(
                    samples=sum(sums.count for sums in covered.tally.sums.values()),
                    rows=covered.rows,
                    total_rows=total_rows,
                    elapsed_s=covered.seconds,
                )
            )

    tell()
    for outcome in outcomes(planned.config, behind(planned.pieces, covered.rows)):
        covered.add(Covered(rows=outcome.rows, engines={outcome.engine}, tally=outcome.tally))
        if parts is not None:
            parts.write(outcome)
        read.append(_readings(outcome.predictions))
        tell()
    arrays = {name: np.concatenate([part[name] for part in read]) for name in read[0]}
    return covered, arrays


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
