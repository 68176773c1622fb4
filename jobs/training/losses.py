"""What a run forgot of what its first bundle could read."""

from __future__ import annotations

from collections import Counter

from crnn.errors import CharsetError
from jobs.progress import ProgressLines
from jobs.training.data import TrainingData
from jobs.training.network import start_address
from jobs.training.settings import TrainSettings
from pipelines.evaluation import Evaluation, evaluate
from pipelines.evaluation.losses import Losses, losses
from pipelines.manifest import load_manifest
from pipelines.set_names import set_names

_MUCH = 0.01
"""Share of a set's samples, read exactly before, whose loss is worth a remedy."""


def what_was_lost(settings: TrainSettings, data: TrainingData, bundle_uri: str) -> Losses | None:
    """Against the bundle that training began with, on what is replayed and on ``--kept`` sets.

    Both without a language model, which the new bundle doesn't have.
    """
    before, kept = start_address(settings), (*settings.kept, *data.replay.kept)
    if before is None or not kept:
        return None
    sets, lines = set_names(kept), ProgressLines("what was forgotten")

    def evaluated(uri: str) -> Evaluation:
        return evaluate(uri, sets, on_progress=lambda now: lines(now.rows, now.total_rows))

    counts: Counter[str] = Counter()
    for uri in kept:
        counts.update(load_manifest(uri).characters)
    try:
        return losses(evaluated(before), evaluated(bundle_uri), counts)
    except CharsetError as error:
        print(f"note: what was forgotten isn't measured: {error}", flush=True)
        return None


def in_words(lost: Losses, before: str, after: str) -> list[str]:
    """For a person, and how both kinds can be read if much was lost.

    ``before`` and ``after`` are the addresses of the two bundles.
    """
    if lost.most_lost <= _MUCH:
        return lost.lines()
    pair = f"--bundle {before} --then {after} --surer"
    return [*lost.lines(), f"to keep what was lost, let the two read together: {pair}"]
