"""What a client asks, step by step, without sending anything: the same for both clients."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import httpx

from crnn.client.answers import (
    Job,
    ModelInfo,
    Page,
    job_of,
    jobs_of,
    model_of,
    pages_of,
    problem_of,
    results_of,
)
from crnn.client.pictures import Upload
from crnn.client.retry import Call, Flow, Pause, asked
from crnn.errors import PictureError
from crnn.result import Result

if TYPE_CHECKING:
    from crnn import wire
    from crnn.shared_settings import DecoderName

POLL_S = 2.0
_TOO_LARGE = 413
_BYTES = "application/octet-stream"


def options_of(
    decoder: str | None,
    lexicon: Sequence[str] | None,
    chars: bool,
    dpi: int | None = None,
    detect_px: int | None = None,
) -> wire.PageOptions:
    """The options of a request to read; what isn't given is the service's default."""
    if isinstance(lexicon, str):
        raise ValueError(f"lexicon is the text {lexicon!r}; expected a list of words")
    options: wire.PageOptions = {"chars": chars}
    if decoder is not None:
        options["decoder"] = cast("DecoderName", decoder)  # another name is the service's to refuse
    if lexicon is not None:
        options["lexicon"] = list(lexicon)
    if dpi is not None:
        options["dpi"] = dpi
    if detect_px is not None:
        options["detect_px"] = detect_px
    return options


def read_flow(
    pictures: Sequence[Upload], options: wire.ReadingOptions, retries: int
) -> Flow[list[Result]]:
    """The results of pictures that make one request, in their order.

    A request that is too large for the service is halved; one picture that is, is its own error.
    """
    sent = [picture for picture in pictures if picture.error is None]
    results = (yield from _read(sent, options, retries)) if sent else []
    digest = next((result.model for result in results), "")
    left = iter(results)
    return [Result.failed(p.error, digest) if p.error else next(left) for p in pictures]


def _read(sent: Sequence[Upload], options: wire.ReadingOptions, retries: int) -> Flow[list[Result]]:
    call = Call(
        method="POST",
        path="v1/recognize",
        files=[("files", (str(i), p.data, _BYTES)) for i, p in enumerate(sent)],
        form={"options": json.dumps(options, ensure_ascii=False)},
    )
    outcome = yield from asked(call, retries)
    if not (isinstance(outcome, httpx.Response) and outcome.status_code == _TOO_LARGE):
        return results_of(outcome, len(sent))
    if len(sent) == 1:
        text = str(
            problem_of(outcome).get("detail") or "the service doesn't take pictures of this size"
        )
        return [Result.failed(PictureError("too_large", text), "")]
    half = len(sent) // 2
    first = yield from _read(sent[:half], options, retries)
    return first + (yield from _read(sent[half:], options, retries))


def page_flow(file: Upload, options: wire.PageOptions, retries: int) -> Flow[list[Page]]:
    """The pages of one file; PictureError where it can't be opened."""
    if file.error is not None:
        raise file.error
    call = Call(
        method="POST",
        path="v1/pages",
        files=[("files", ("0", file.data, _BYTES))],
        form={"options": json.dumps(options, ensure_ascii=False)},
    )
    outcome = yield from asked(call, retries)
    if isinstance(outcome, httpx.Response) and outcome.status_code == _TOO_LARGE:
        problem = problem_of(outcome)
        code, text = problem.get("code", "too_large"), problem.get("detail", "")
        raise PictureError(str(code), str(text or "the service doesn't take files of this size"))
    return pages_of(outcome)


def model_flow(retries: int) -> Flow[ModelInfo]:
    """The bundle that the service reads with."""
    return model_of((yield from asked(Call(method="GET", path="v1/model"), retries)))


def ready_flow() -> Flow[bool]:
    """Whether it is there and warmed up; asked once."""
    outcome = yield Call(method="GET", path="readyz")
    return isinstance(outcome, httpx.Response) and outcome.is_success


def start_flow(input: str, output: str, options: wire.JobOptions, retries: int) -> Flow[Job]:
    """A bulk job, started only once even after retries."""
    call = Call(
        method="POST",
        path="v1/jobs",
        json={"input": input, "output": output, "options": dict(options)},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    )
    return job_of((yield from asked(call, retries)))


def jobs_flow(limit: int, before: str | None, retries: int) -> Flow[list[Job]]:
    """The newest jobs, or those older than ``before``."""
    query = {"limit": str(limit)} | ({"before": before} if before else {})
    return jobs_of((yield from asked(Call(method="GET", path="v1/jobs", query=query), retries)))


def job_flow(job_id: str, retries: int) -> Flow[Job]:
    """One job as it is now."""
    return job_of((yield from asked(Call(method="GET", path=_job_path(job_id)), retries)))


def cancel_flow(job_id: str, retries: int) -> Flow[Job]:
    """A job that is to stop; one that ended stays as it is."""
    return job_of((yield from asked(Call(method="DELETE", path=_job_path(job_id)), retries)))


def wait_flow(job_id: str, timeout_s: float | None, poll_s: float, retries: int) -> Flow[Job]:
    """A job that has ended, successfully or not; TimeoutError if it hasn't by then."""
    deadline = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
    while not (job := (yield from job_flow(job_id, retries))).ended:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"job {job_id} is {job.state} after {timeout_s} s, {job.done:,} of {job.total:,} "
                "pictures done; it continues in the background"
            )
        yield Pause(seconds=min(poll_s, left))
    return job


def _job_path(job_id: str) -> str:
    if not job_id or not job_id.replace("-", "").isalnum():
        raise ValueError(f"job_id is {job_id!r}; expected one that start_job gave")
    return f"v1/jobs/{job_id}"
