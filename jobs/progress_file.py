"""How far a job is, as a small JSON file that other programs read while it runs.

Rewritten as a whole every few seconds and at the end. A job that is started again with
the same file counts on from what it had done before.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from crnn.errors import DataError
from crnn.files import storage
from jobs.failures import ours, text_of

WRITE_EVERY_S = 2.0
RATE_OVER_S = 60.0
LISTING, READING, FINISHED, FAILED = "listing", "reading", "finished", "failed"


@dataclass(frozen=True, kw_only=True)
class JobProgress:
    """What such a file says."""

    state: str = LISTING
    """``listing`` until the first input is read, ``reading``, ``finished`` or ``failed``."""
    done: int = 0
    """Inputs done, those that failed included."""
    failed: int = 0
    """Inputs that gave an error; those of the seconds before a kill may be missing."""
    total: int = 0
    """Inputs found so far."""
    listed: bool = False
    """Whether ``total`` stays as it is."""
    rate: float | None = None
    """Inputs a second, recently."""
    seconds_left: float | None = None
    """Until all are done."""
    base: int = 0
    """Inputs in the output that were done before the job was first started."""
    updated: float = 0.0
    """When this was written, s since 1970."""
    report: Mapping[str, Any] | None = None
    """What the job reports, once it is finished."""
    page: str | None = None
    """Address of the page that shows it."""
    error: str | None = None
    """Why it failed."""


def read_progress(uri: str) -> JobProgress | None:
    """What the file says; None where there is none.

    Raises:
        DataError: when it can't be read, or is no such file.
    """
    try:
        entries = json.loads(storage.read_bytes(uri))
        known = [field.name for field in fields(JobProgress)]
        return JobProgress(**{name: entries[name] for name in known if name in entries})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DataError(f"{uri} isn't the progress file of a job: {error}; remove it") from error


class ProgressFile:
    """Writes how far a job is. An empty address writes nothing."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._before = (read_progress(uri) if uri else None) or JobProgress()
        self._now = JobProgress()
        self._next_s = 0.0
        self._seen: deque[tuple[float, int]] = deque()
        self._done = self._failed = 0

    def begin(self, rows_there: int) -> None:
        """The job begins; the output has this many rows by now, from any job.

        To be called before it adds any.
        """
        again = self._before.updated > 0
        base = self._before.base if again else rows_there
        failed = self._before.failed if again else 0
        self._before = JobProgress(base=base, done=rows_there - base, failed=failed)
        self._write(self._before)

    def __call__(self, done: int, failed: int, total: int, *, listed: bool) -> None:
        """Takes in that ``done`` of ``total`` are done in this run."""
        now, self._done, self._failed = time.monotonic(), done, failed
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - RATE_OVER_S:
            self._seen.popleft()
        if now < self._next_s:
            return
        began, first = self._seen[0]
        rate = (done - first) / (now - began) if done > first else None
        before = self._before
        self._write(
            JobProgress(
                state=READING if done else LISTING,
                done=before.done + done,
                failed=before.failed + failed,
                total=before.done + total,
                listed=listed,
                rate=rate,
                seconds_left=(total - done) / rate if rate and listed else None,
                base=before.base,
            )
        )

    def finished(self, report: Mapping[str, Any], page: str) -> None:
        """All is done; ``page`` is the address of what shows the report."""
        done = self._before.done + self._done
        self._write(
            JobProgress(
                state=FINISHED,
                done=done,
                failed=self._before.failed + self._failed,
                total=done,
                listed=True,
                base=self._before.base,
                report=report,
                page=page,
            )
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What a user can put right and ends the block is written down as why the job failed.

        Anything else isn't: a cluster that ends under a job is no fault of the job.
        """
        try:
            yield
        except Exception as error:
            found = error if isinstance(error, ValueError) else ours(error)
            if found is not None:
                values = {**asdict(self._now), "state": FAILED, "seconds_left": None}
                self._write(JobProgress(**{**values, "error": text_of(found)}))
            raise

    def _write(self, now: JobProgress) -> None:
        self._now = now
        self._next_s = time.monotonic() + WRITE_EVERY_S
        if self._uri:
            entries = {**asdict(now), "updated": time.time()}
            storage.write_bytes(self._uri, json.dumps(entries, ensure_ascii=False).encode())
