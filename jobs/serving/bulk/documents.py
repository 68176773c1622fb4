"""What is written in requests and answers of ``/v1/jobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from crnn import wire
from crnn.decode import check_lexicon
from crnn.files import storage
from jobs.serving.asked import most_values, parsed_json
from jobs.serving.bodies import check_json
from jobs.serving.contract import Checked
from jobs.serving.problems import ProblemError

if TYPE_CHECKING:
    from jobs.serving.bulk.work import Look

_REQUEST = Checked(wire.JobRequest)


def job_in(body: bytes, headers: Mapping[bytes, bytes]) -> wire.JobRequest:
    """The job that a request asks for.

    Raises:
        ProblemError: ``unsupported_media_type``, ``malformed``, ``too_many_pictures`` (or words),
            ``invalid``.
    """
    check_json(headers)
    request = _REQUEST.value(parsed_json(body, most_values(pictures=0, words=wire.JOB_WORDS)))
    options = request.get("options", {})
    _check_together(options.get("decoder"), options.get("lexicon"))
    return request


def _check_together(decoder: str | None, lexicon: list[str] | str | None) -> None:
    """Also that a file with a word a line can say the words."""
    try:
        check_lexicon(decoder, lexicon)
    except ValueError as error:
        raise ProblemError("invalid", str(error)) from None
    for index, word in enumerate(lexicon if isinstance(lexicon, list) else []):
        if not word.strip() or len(word.splitlines()) != 1:
            raise ProblemError(
                "invalid", f"word {index} of the lexicon is blank or has several lines"
            )


def example(prefix: str) -> wire.JobRequest:
    """A request that a service takes whose jobs may use this folder."""
    return {
        "input": storage.join(prefix, "crops"),
        "output": storage.join(prefix, "results"),
        "options": {"decoder": "greedy", "min_confidence": 0.5},
    }


def answer(look: Look) -> wire.JobAnswer:
    """A job as the API gives it."""
    record, progress = look.record, look.progress
    return {
        "id": record.id,
        "state": cast(Any, look.state),
        "done": progress.done,
        "failed": progress.failed,
        "total": progress.total,
        "listed": progress.listed,
        "rate": progress.rate,
        "seconds_left": progress.seconds_left,
        "error": look.error,
        "created": record.created,
        "input": record.input,
        "output": record.output,
        "options": dict(record.options),
        "model": {"digest": record.digest, "uri": record.bundle},
        "report": dict(progress.report) if progress.report else None,
        "report_page": progress.page,
    }
