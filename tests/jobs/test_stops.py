"""Why workers stopped, as a run tells it."""

from ray.exceptions import ActorDiedError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerGroupStartupFailedError,
    WorkerHealthCheckFailedError,
)

from jobs.training.stops import reasons


def test_ranks_that_stopped_for_one_reason_are_told_once() -> None:
    lost = WorkerHealthCheckFailedError("health check failed", ActorDiedError())
    raised = UserExceptionWithTraceback(OSError("no space left\non device"), "Traceback: …")
    error = WorkerGroupError("…", {2: lost, 0: lost, 1: raised})
    first, second = reasons(error)
    assert first.startswith("workers 0, 2 stopped: ActorDiedError: The actor died"), first
    assert second == "worker 1 stopped: OSError: no space left on device"


def test_of_many_reasons_some_are_told_and_the_others_are_counted() -> None:
    error = WorkerGroupError("…", {rank: OSError(f"number {rank}") for rank in range(64)})
    *told, last = reasons(error)
    assert told == [f"worker {rank} stopped: OSError: number {rank}" for rank in range(5)]
    assert last == "and 59 more, each for another reason"


def test_workers_that_did_not_start_are_told_with_the_cause() -> None:
    busy = OSError("[Errno 98] Address already in use")
    in_a_task = RayTaskError("setup", "Traceback: …", busy).as_instanceof_cause()
    assert reasons(ControllerError(in_a_task)) == [
        "Ray Train could not run the workers: OSError: [Errno 98] Address already in use"
    ]
    lost = WorkerGroupStartupFailedError("At least one of the worker actors failed to initialize.")
    assert reasons(ControllerError(lost)) == [
        f"Ray Train could not run the workers: {type(lost).__name__}: {lost}"
    ]
