"""Bulk jobs: taken, started on the cluster, looked at, cancelled, taken up again after a loss.

A job is taken once its record lies in the folder, and ended once its own progress, its record or
Ray says so. One that is taken and not ended, and that the cluster knows nothing of, was lost with
its cluster: it is started again, and goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from crnn import wire
from crnn.files import storage
from crnn.inference.doubt import BELOW
from jobs.progress_file import FAILED, FINISHED, LISTING, JobProgress
from jobs.serving.bulk.addresses import check_allowed
from jobs.serving.bulk.cluster import RayJobs, Run
from jobs.serving.bulk.documents import example
from jobs.serving.bulk.records import Record, Records, is_id, new_id
from jobs.serving.bulk.settings import BulkSettings
from jobs.serving.problems import RETRY_AFTER_S, ProblemError
from pipelines.prefixes import lies_in

RECORDS_FOLDER = "_jobs"
QUEUED, CANCELLING, CANCELLED = "queued", "cancelling", "cancelled"
ENDED = (FINISHED, FAILED, CANCELLED)
_LOOKED_AT = 200
"""Newest jobs among which lost ones are sought."""
_THREADS = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The bundle that the service reads with."""

    uri: str
    digest: str
    """Digest of the bundle; of both together in a cascade."""
    then: str = ""
    """Address of the bundle that reads what this one doubts."""
    below: float = BELOW
    """The cascade's bound."""
    surer: bool = False
    """As ``crnn.inference.doubt.Then.surer``."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A job as it is now."""

    record: Record
    state: str
    progress: JobProgress
    error: str | None


class BulkJobs:
    """The bulk jobs of a service; every call may block for as long as a store takes to answer."""

    def __init__(self, settings: BulkSettings, deployed: Callable[[], Deployed]) -> None:
        """``deployed`` tells which bundle is in use when a job is taken."""
        if not settings.enabled:
            raise ValueError("--bulk.prefixes is empty; expected folders that jobs may use")
        self._settings = settings
        self._deployed = deployed
        uri = settings.uri or storage.join(settings.prefixes[0], RECORDS_FOLDER)
        self._records = Records(uri)
        self._cluster = RayJobs()
        self._starting = Lock()

    def example(self) -> wire.JobRequest:
        """A request that this service takes."""
        return example(self._settings.prefixes[0])

    def start(
        self, input: str, output: str, options: Mapping[str, Any], key: str | None
    ) -> tuple[Look, bool]:
        """Takes a job and starts it; True with it, or the one taken before with the same key.

        Raises:
            ProblemError: ``invalid`` for addresses that aren't allowed, ``conflict`` for an output
                that another job writes to or a key that another request had, ``overloaded``,
                ``unavailable``.
        """
        options = {name: value for name, value in options.items() if value is not None}
        self._check(input, output, options)
        with self._starting:  # of two at a time one is to find the other
            before = self._records.of_key(key) if key else None
            if before is not None:
                return self._again(before, input, output, options), False
            self._check_room(output)
            record = self._taken(input, output, options, key)
            try:
                self._cluster.submit(record.id, self._arguments(record))
            except ProblemError:
                self._records.remove(record.id)
                raise
        return self.look(record.id), True

    def look(self, job_id: str) -> Look:
        """One job as it is now; ProblemError ``not_found`` where there is none."""
        record = self._records.read(job_id) if is_id(job_id) else None
        if record is None:
            raise ProblemError("not_found", f"there is no job {job_id[:64]!r}")
        return self._look(record, self._cluster.runs().get(job_id))

    def page(self, limit: int, before: str | None) -> tuple[list[Look], str | None]:
        """Jobs, newest first, those older than ``before``; and the last id where there are more."""
        ids = [name for name in self._records.ids() if before is None or name < before]
        runs = self._cluster.runs() if ids else {}
        return self._looks(ids[:limit], runs), ids[limit - 1] if len(ids) > limit else None

    def cancel(self, job_id: str) -> Look:
        """Stops a job; what it has read stays."""
        look = self.look(job_id)
        if look.state in ENDED:
            return look
        self._records.cancel(job_id)
        self._cluster.stop(job_id)
        return self.look(job_id)

    def take_up(self) -> list[str]:
        """Starts the jobs again that were lost with their cluster; their ids.

        Several replicas may do this at a time: Ray takes each job once.
        """
        runs = self._cluster.runs()
        unknown = [job_id for job_id in self._records.ids()[:_LOOKED_AT] if job_id not in runs]
        lost = [look.record for look in self._looks(unknown, runs) if look.state not in ENDED]
        for record in lost:
            self._cluster.submit(record.id, self._arguments(record))
            _log.warning("bulk job %s was lost with its cluster; it is resumed", record.id)
        return [record.id for record in lost]

    def _check(self, input: str, output: str, options: Mapping[str, Any]) -> None:
        prefixes, records = self._settings.prefixes, self._records.uri
        try:
            check_allowed("input", input, prefixes, but_not=records, may_match=True)
            check_allowed("output", output, prefixes, but_not=records)
            if lies_in(records, [output]):
                raise ValueError(f"output is {output!r}, which holds the records of the jobs")
            if isinstance(options.get("lexicon"), str):
                check_allowed("options.lexicon", options["lexicon"], prefixes, but_not=records)
        except ValueError as error:
            raise ProblemError("invalid", str(error)) from None

    def _check_room(self, output: str) -> None:
        runs = self._cluster.runs()
        looks = self._looks([job_id for job_id, run in runs.items() if not run.ended], runs)
        for look in looks:
            if look.record.output.rstrip("/") == output.rstrip("/"):
                raise ProblemError(
                    "conflict",
                    f"job {look.record.id} is {look.state} and writes to {output}; wait until it "
                    "ends, cancel it, or give another output",
                )
        if len(looks) >= self._settings.open_jobs:
            raise ProblemError(
                "overloaded",
                f"{len(looks)} bulk jobs are unfinished, the most allowed at a time",
                retry_after_s=60 * RETRY_AFTER_S,
            )

    def _again(self, record: Record, input: str, output: str, options: Mapping[str, Any]) -> Look:
        before = (record.input, record.output, dict(record.options))
        if before != (input, output, _noted(options)):
            raise ProblemError(
                "conflict",
                f"the Idempotency-Key was used for job {record.id}, of {record.input} to "
                f"{record.output} with {dict(record.options)}; give another key for another job",
            )
        return self.look(record.id)

    def _taken(
        self, input: str, output: str, options: Mapping[str, Any], key: str | None
    ) -> Record:
        job_id, deployed = new_id(key), self._deployed()
        words = options.get("lexicon")
        lexicon = words if isinstance(words, str) else ""
        if isinstance(words, list):
            lexicon = self._records.write_lexicon(job_id, words)
        record = Record(
            id=job_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            input=input,
            output=output,
            options=_noted(options),
            bundle=storage.absolute(deployed.uri),
            digest=deployed.digest,
            then=deployed.then and storage.absolute(deployed.then),
            below=deployed.below,
            surer=deployed.surer,
            lexicon=lexicon,
        )
        self._records.write(record)
        return record

    def _arguments(self, record: Record) -> list[str]:
        """Arguments for ``jobs/recognize.py``."""
        given = {
            "bundle": record.bundle,
            "digest": record.digest,
            "then": record.then,
            "below": record.below,
            "surer": record.surer,
            "input": record.input,
            "output": record.output,
            "progress": self._records.progress_uri(record.id),
            "workers": self._settings.workers,
            "lexicon": record.lexicon,
            **{name: value for name, value in record.options.items() if name != "lexicon"},
        }
        flags = [_flag(name.replace("_", "-"), value) for name, value in given.items()]
        return [*flags, "--prefixes", *self._settings.prefixes]

    def _looks(self, ids: Sequence[str], runs: Mapping[str, Run]) -> list[Look]:
        """Jobs that have a record, in their order."""

        def look(job_id: str) -> Look | None:
            record = self._records.read(job_id)
            return self._look(record, runs.get(job_id)) if record else None

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(filter(None, threads.map(look, ids)))

    def _look(self, record: Record, run: Run | None) -> Look:
        progress = self._records.progress(record.id) or JobProgress()
        ended = progress.state in (FINISHED, FAILED)
        cancelled = not ended and self._records.is_cancelled(record.id)
        state = progress.state if ended else _state(progress, run, cancelled=cancelled)
        error = progress.error or (run.message if run and state == FAILED else None)
        return Look(record=record, state=state, progress=progress, error=error)


def _state(progress: JobProgress, run: Run | None, *, cancelled: bool) -> str:
    """State of a job that hasn't recorded its own end."""
    status = run.status if run else None
    if status == "STOPPED" or (cancelled and status in (None, "SUCCEEDED", "FAILED")):
        return CANCELLED
    if cancelled:
        return CANCELLING
    if status == "FAILED":
        return FAILED
    if status == "SUCCEEDED":
        return FINISHED
    if status == "RUNNING":
        return progress.state if progress.updated else LISTING
    return QUEUED


def _noted(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a record has them: how many words came with the request, not which."""
    words = options.get("lexicon")
    return {**options, "lexicon": f"{len(words)} words"} if isinstance(words, list) else {**options}


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"
