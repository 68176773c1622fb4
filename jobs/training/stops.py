"""What stopped the workers of a run, told when it happens.

Ray Train starts them again, and keeps the reasons in a log file on its controller's node.
"""

from __future__ import annotations

from typing import Any

import ray.train

from crnn.errors import WorkersLostError
from jobs.failures import in_short
from jobs.ray_internals import controller_callback

_MOST = 5
"""Reasons told of one stop: what fails everywhere fails in as many ways as there are ranks."""


_Callback: Any = controller_callback()


class FailureTeller(_Callback):
    """Says on the run's board why workers stopped, or why there were none."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def after_controller_state_update(self, previous_state: Any, current_state: Any) -> None:
        """Called by Ray Train, in its controller; some states have the error that led to them."""
        error = getattr(current_state, "training_failed_error", None)
        if error is not None:
            for reason in reasons(error):
                self._board.say.remote(reason)


def workers_lost(error: ray.train.TrainingFailedError, max_failures: int) -> WorkersLostError:
    """What a user is told when Ray Train tries no more."""
    why = "; ".join(reasons(error))
    if not isinstance(error, ray.train.ControllerError):
        why = (
            f"training failed more often than --max-failures {max_failures} allows, "
            f"the last time as {why}"
        )
    return WorkersLostError(f"{why}. The same command continues from the last checkpoint")


def reasons(error: ray.train.TrainingFailedError) -> list[str]:
    """A line for each reason, as ``workers 0, 2 stopped: ActorDiedError: …``."""
    failures = getattr(error, "worker_failures", None)
    if not failures:
        return [f"Ray Train could not run the workers: {in_short(error)}"]
    ranks: dict[str, list[int]] = {}
    for rank, failure in sorted(failures.items()):
        ranks.setdefault(in_short(failure), []).append(rank)
    told = [f"{_named(alike)} stopped: {reason}" for reason, alike in ranks.items()]
    if len(told) <= _MOST:
        return told
    more = len(told) - _MOST
    return [*told[:_MOST], f"and {more} more, each for another reason"]


def _named(ranks: list[int]) -> str:
    return f"worker{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
