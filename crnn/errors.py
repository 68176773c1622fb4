"""Every error this project raises on purpose, in one tree.

    CrnnError
    ├── CharsetError            a charset that is not one, or a text outside it
    ├── PictureError            a picture that can't be read; carries a reject reason
    ├── BundleError             a bundle that is incomplete, damaged or of another format
    ├── EngineError             an inference engine that can't run here, or computes something else
    ├── DataError               shards or sources that are missing, unfinished or unusable
    ├── CheckpointMismatchError a run that would resume into another configuration
    ├── NonFiniteLossError      too many non-finite training steps in a row
    ├── PlacementError          workers that the cluster can't ever place
    └── WorkersLostError        workers that failed more often than a run recovers from

Bad arguments are plain ``ValueError``; what can't happen is an ``assert``.
"""

from __future__ import annotations


class CrnnError(Exception):
    """Root of the tree: catching it catches whatever a user can put right."""


class CharsetError(CrnnError):
    """A charset that is not one, or a text that it can't write."""


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


class WorkersLostError(CrnnError):
    """Workers that failed more often than a run recovers from."""
