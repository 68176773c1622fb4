"""What bulk jobs over HTTP are given."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.prefixes import check_prefix


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """Bulk jobs over HTTP: which folders they may read and write, and how much may run at once."""

    prefixes: tuple[str, ...] = ()
    """Folders (paths, s3:// or gs:// addresses) that the inputs and outputs of bulk jobs must be
    in. Default: none, and bulk jobs are refused."""
    uri: str = ""
    """Folder where the service keeps a record of each job, also after it has ended. Default: _jobs
    in the first of --bulk.prefixes."""
    workers: int = 0
    """Maximum number of processes that read pictures for a job; 0: one for each free CPU."""
    open_jobs: int = 8
    """Maximum number of waiting and running jobs; another one is refused (status 429)."""

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
