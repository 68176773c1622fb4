"""Every error this project raises on purpose, in one tree.

    CrnnError
    ├── CharsetError            an invalid charset, or a text with other characters
    ├── PictureError            a picture that can't be read; carries a reject reason
    ├── BundleError             a bundle that is incomplete, damaged or of another format
    ├── EngineError             an inference engine that can't run here, or gives wrong results
    ├── DataError               shards or sources that are missing, unfinished or unusable
    ├── CheckpointMismatchError a run that would resume into another configuration
    ├── NonFiniteLossError      too many non-finite training steps in a row
    ├── PlacementError          workers that the cluster can't ever place
    ├── RayChangedError         a Ray without a private part of it that is used
    ├── WorkersLostError        workers that failed more often than allowed
    ├── QueueFullError          more pictures at once than a recognizer takes in
    ├── DeadlineError           pictures not read within the time that the caller gave
    ├── ClosedError             use of something that is closed
    └── ServiceError            a service over HTTP that didn't do what it was asked
        ├── AccessDeniedError       it wants a token, or another one
        ├── RequestRefusedError     it will never accept this request
        ├── ServiceBusyError        overloaded or failing, after all retries
        └── ServiceUnreachableError nothing answers there

Bad arguments are plain ``ValueError``; what can't happen is an ``assert``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CrnnError(Exception):
    """Base class of all errors that a user can fix."""


class CharsetError(CrnnError):
    """An invalid charset, or a text that it can't write."""


class PictureError(CrnnError):
    """A picture that can't be read. ``reason`` is a reject reason, e.g. ``undecodable``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[PictureError], tuple[str, str]]:
        return PictureError, (self.reason, str(self))


class BundleError(CrnnError):
    """A bundle that is incomplete, damaged or of another format."""


class EngineError(CrnnError):
    """An inference engine that can't run here, or that doesn't compute what the weights do."""


class DataError(CrnnError):
    """Shards or sources that are missing, unfinished or unusable."""


class CheckpointMismatchError(CrnnError):
    """A run of this name exists with other settings."""


class NonFiniteLossError(CrnnError):
    """Too many non-finite training steps in a row."""


class PlacementError(CrnnError):
    """Workers that the cluster can't ever place."""


class RayChangedError(CrnnError):
    """Another version of Ray, without a private part of it that is used."""


class WorkersLostError(CrnnError):
    """Workers that failed more often than allowed."""


class QueueFullError(CrnnError):
    """More pictures at once than a recognizer takes in; nothing of the call was queued."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds until there should be room again, at the present rate."""

    def __reduce__(self) -> tuple[type[QueueFullError], tuple[str, float]]:
        return QueueFullError, (str(self), self.retry_after_s)


class DeadlineError(CrnnError):
    """Pictures not read within the time that the caller gave."""


class ClosedError(CrnnError):
    """Use of something that is closed."""


class ServiceError(CrnnError):
    """A recognition service that didn't do what it was asked."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of its answer; None if there was none."""
        self.problem = dict(problem or {})
        """The problem details of its answer (RFC 9457); empty if it gave none."""


class AccessDeniedError(ServiceError):
    """The service wants a token, or another one."""


class RequestRefusedError(ServiceError):
    """The service will never accept this request as it is."""


class ServiceBusyError(ServiceError):
    """The service was overloaded or failing, after all retries."""

    retry_after_s: float | None = None
    """When to try again, in seconds from its last answer; None if it didn't say."""


class ServiceUnreachableError(ServiceError):
    """Nothing answers at the service's address."""
