"""Ray's table of jobs, which lasts as long as the cluster, longer than the program that submitted
them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import ray
from ray.job_submission import JobSubmissionClient

from jobs.cluster import PROJECT_ROOT
from jobs.failures import text_of
from jobs.serving.problems import RETRY_AFTER_S, ProblemError
from jobs.serving.settings import TOKEN_VARIABLE

_NAME = "crnn-recognize-"
_KEPT = ("working_dir", "py_modules", "pip", "uv", "conda", "container", "image_uri")
_MESSAGE_CHARACTERS = 600
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the cluster knows of a job."""

    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str
    """The last it said, for one that failed."""

    @property
    def ended(self) -> bool:
        """Whether it stays as it is."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class RayJobs:
    """Starts and stops ``jobs/recognize.py`` on the cluster that this process belongs to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._client: JobSubmissionClient | None = None

    def submit(self, job_id: str, arguments: Sequence[str]) -> None:
        """Starts the job; does nothing when it was started before, by any process.

        Raises:
            ProblemError: ``unavailable`` when the cluster takes no jobs.
        """
        environment = runtime_env()
        # Ray's own $RAY_ADDRESS for a job is the cluster that was last started on the machine.
        address = f"--address={ray.get_runtime_context().gcs_address}"
        program = [_python(environment), *_program(environment)]
        command = shlex.join([*program, address, *arguments])
        try:
            self._ask(
                lambda client: client.submit_job(
                    entrypoint=command, submission_id=_NAME + job_id, runtime_env=environment
                )
            )
        except ProblemError:
            if self.runs().get(job_id) is None:
                raise

    def stop(self, job_id: str) -> None:
        """Ends the job, and what it started; one that has ended stays as it is."""
        if job_id in self.runs():
            self._ask(lambda client: client.stop_job(_NAME + job_id))

    def runs(self) -> dict[str, Run]:
        """All jobs that were started on this cluster, by id."""
        listed = self._ask(lambda client: client.list_jobs())
        return {
            str(job.submission_id).removeprefix(_NAME): Run(
                status=str(job.status), message=_last_words(job.message or "")
            )
            for job in listed
            if str(job.submission_id).startswith(_NAME)
        }

    def _ask(self, question: Callable[[JobSubmissionClient], Answer]) -> Answer:
        try:
            with self._lock:
                address = ray.get_runtime_context().gcs_address
                self._client = self._client or JobSubmissionClient(address)
            return question(self._client)
        except (RuntimeError, ConnectionError, OSError) as error:
            with self._lock:
                self._client = None
            raise ProblemError(
                "unavailable",
                "the cluster's job service, which comes with the dashboard of its head node, "
                f"doesn't answer: {text_of(error)[:_MESSAGE_CHARACTERS]}",
                retry_after_s=RETRY_AFTER_S,
            ) from error


def runtime_env() -> dict[str, Any]:
    """Where this process finds the project and its packages, for a job on any node."""
    here = dict(ray.get_runtime_context().runtime_env)
    variables = {k: v for k, v in (here.get("env_vars") or {}).items() if k != TOKEN_VARIABLE}
    kept = {name: here[name] for name in _KEPT if here.get(name)}
    return kept | ({"env_vars": variables} if variables else {})


def _python(environment: dict[str, Any]) -> str:
    own = any(name in environment for name in ("pip", "uv", "conda", "container", "image_uri"))
    return "python" if own else sys.executable


def _program(environment: dict[str, Any]) -> list[str]:
    if "working_dir" in environment:  # the job runs in it
        return ["jobs/recognize.py"]
    if "py_modules" in environment:  # every package in a folder of its own
        return ["-m", "jobs.recognize"]
    return [str(PROJECT_ROOT / "jobs" / "recognize.py")]


def _last_words(message: str) -> str:
    """The end of a job's log, from what our jobs say when they give up, if they did."""
    text = text_of(RuntimeError(message))
    found = text.rfind("\nerror: ")
    text = text[found + len("\nerror: ") :] if found >= 0 else text
    return text.strip()[-_MESSAGE_CHARACTERS:]
