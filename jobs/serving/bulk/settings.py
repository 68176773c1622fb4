"""What bulk jobs over HTTP are given."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.prefixes import check_prefix


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """Which addresses bulk jobs may read and write, and with how much; none: they are off."""

    prefixes: tuple[str, ...] = ()
    """Folders (paths, s3:// or gs:// addresses) that inputs and outputs of bulk jobs must be in.
    Default: none, which turns bulk jobs over HTTP off."""
    uri: str = ""
    """Folder of the records of jobs, which are kept when the service ends. Default: _jobs in the
    first of --bulk.prefixes."""
    workers: int = 0
    """Maximum number of reading processes for each job; 0: one for each free CPU."""
    open_jobs: int = 8
    """Maximum number of unfinished jobs; more are refused (429)."""

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            check_prefix(prefix, "--bulk.prefixes")
        if self.uri and not self.prefixes:
            raise ValueError("--bulk.uri is given and --bulk.prefixes isn't; bulk jobs are off")
        if self.workers < 0:
            raise ValueError(f"--bulk.workers is {self.workers}; expected 0 (all) or a number")
        if self.open_jobs < 1:
            raise ValueError(f"--bulk.open-jobs is {self.open_jobs}; expected at least 1")

    @property
    def enabled(self) -> bool:
        """Whether there are bulk jobs, for which a cluster needs its dashboard."""
        return bool(self.prefixes)
