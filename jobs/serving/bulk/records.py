"""A folder for each bulk job: what was asked for, how far it is, whether it is to stop.

JOBS/20260714T101502-3f6b0c9a41d2/job.json        written once, when the job is taken
JOBS/20260714T101502-3f6b0c9a41d2/lexicon.txt     the words that came with it
JOBS/20260714T101502-3f6b0c9a41d2/progress.json   by the job itself, every few seconds
JOBS/20260714T101502-3f6b0c9a41d2/cancelled       there once somebody asked for it
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from pyarrow import fs

from crnn.errors import DataError
from crnn.files import storage
from crnn.inference.doubt import BELOW
from jobs.progress_file import JobProgress, read_progress

_JOB, _LEXICON, _PROGRESS, _CANCELLED = "job.json", "lexicon.txt", "progress.json", "cancelled"
_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a job was asked to do."""

    id: str
    created: str
    """ISO 8601, UTC."""
    input: str
    output: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """As in the request; of a lexicon that came with it, the number of words."""
    bundle: str
    """Address of the bundle in use then."""
    digest: str
    """Digest of the bundle, or of both in a cascade, when the job began; another is refused."""
    then: str = ""
    """Address of the bundle that reads what this one doubts."""
    below: float = BELOW
    """The cascade's bound."""
    surer: bool = False
    """As ``crnn.inference.doubt.Then.surer``."""
    lexicon: str = ""
    """Address of the words allowed."""


def new_id(key: str | None) -> str:
    """An id that sorts by time; the end of it is the same for the same ``key``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{_end_of(key) if key else secrets.token_hex(6)}"


def is_id(text: str) -> bool:
    """Whether this could be a job's."""
    return _ID.fullmatch(text) is not None


class Records:
    """The folder of all jobs."""

    def __init__(self, uri: str) -> None:
        self.uri = storage.absolute(uri)

    def ids(self) -> list[str]:
        """Ids of all jobs, newest first."""
        system, path = storage.resolve(self.uri)
        selector = fs.FileSelector(path.rstrip("/"), allow_not_found=True)
        found = storage.attempt("list", self.uri, lambda: system.get_file_info(selector))
        return sorted((info.base_name for info in found if is_id(info.base_name)), reverse=True)

    def of_key(self, key: str) -> Record | None:
        """The job that was taken with this key."""
        end = _end_of(key)
        return next((self.read(name) for name in self.ids() if name.endswith(end)), None)

    def read(self, job_id: str) -> Record | None:
        """What the job was asked to do; None where there is no such job."""
        try:
            entries = json.loads(storage.read_bytes(self._address(job_id, _JOB)))
            return Record(**{f.name: entries[f.name] for f in fields(Record) if f.name in entries})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._address(job_id, _JOB)} is no record of a job: {error}"
            ) from error

    def write(self, record: Record) -> None:
        """Takes the job: from here on it is to be done."""
        text = json.dumps(asdict(record), indent=1, ensure_ascii=False)
        storage.write_bytes(self._address(record.id, _JOB), text.encode())

    def write_lexicon(self, job_id: str, words: list[str]) -> str:
        """The address of a file with these words."""
        address = self._address(job_id, _LEXICON)
        storage.write_bytes(address, "".join(f"{word}\n" for word in words).encode())
        return address

    def remove(self, job_id: str) -> None:
        """Forgets a job that could not be started."""
        storage.delete(storage.join(self.uri, job_id))

    def progress_uri(self, job_id: str) -> str:
        """Where the job says how far it is."""
        return self._address(job_id, _PROGRESS)

    def progress(self, job_id: str) -> JobProgress | None:
        """How far it was when it last said so."""
        return read_progress(self.progress_uri(job_id))

    def cancel(self, job_id: str) -> None:
        """Writes down that it is to stop."""
        storage.write_bytes(self._address(job_id, _CANCELLED), b"")

    def is_cancelled(self, job_id: str) -> bool:
        """Whether it is to stop."""
        return storage.exists(self._address(job_id, _CANCELLED))

    def _address(self, job_id: str, name: str) -> str:
        return storage.join(self.uri, job_id, name)


def _end_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]
