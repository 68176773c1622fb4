"""What is written in requests and answers of ``/v1/jobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import models_json_schema

from crnn.decode import check_lexicon
from crnn.shared_settings import DecoderName
from jobs.serving.asked import JSON_TYPE, most_values, parsed_json
from jobs.serving.bodies import shown
from jobs.serving.problems import ProblemError

if TYPE_CHECKING:
    from jobs.serving.bulk.work import Look

_MOST_WORDS = 100_000
_Word = Annotated[str, Field(min_length=1, max_length=256)]


class JobOptions(BaseModel):
    """How the pictures of a bulk job are read; the same as the flags of jobs/recognize.py."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decoder: Annotated[
        DecoderName | None,
        Field(description="default: lexicon where there is one, else the bundle's"),
    ] = None
    lexicon: Annotated[
        Annotated[list[_Word], Field(min_length=1, max_length=_MOST_WORDS)] | str | None,
        Field(description="the words allowed, or the address of a file with one a line"),
    ] = None
    chars: Annotated[
        bool | None, Field(description="give each character's probability and position")
    ] = None
    min_confidence: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None,
        Field(description="readings with a lower confidence become errors, low_confidence"),
    ] = None
    all_files: Annotated[
        bool | None,
        Field(description="also read files whose names don't end like those of pictures"),
    ] = None
    retry_failed: Annotated[
        bool | None, Field(description="read again the inputs whose row is an error")
    ] = None

    @model_validator(mode="after")
    def _fit_together(self) -> JobOptions:
        """Also that a file with a word a line can say the words."""
        check_lexicon(self.decoder, self.lexicon)
        words = self.lexicon if isinstance(self.lexicon, list) else []
        for index, word in enumerate(words):
            if not word.strip() or len(word.splitlines()) != 1:
                raise ValueError(f"word {index} of the lexicon is blank or has several lines")
        return self


class JobRequest(BaseModel):
    """A bulk job to be started."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "input": "s3://bucket/crops",
                    "output": "s3://bucket/results",
                    "options": {"decoder": "greedy", "min_confidence": 0.5},
                }
            ]
        },
    )

    input: str = Field(
        description="a folder or prefix, a pattern, one picture, a prepared set, or a .csv or "
        ".parquet list with a column uri (and perhaps etag, x0 y0 x1 y1, box or polygon). What a "
        "list names outside the allowed folders is not read: its row has the error not_allowed"
    )
    output: str = Field(description="folder of the results")
    options: JobOptions = JobOptions()


SCHEMAS: dict[str, Any] = models_json_schema(
    [(JobRequest, "validation")], ref_template="#/components/schemas/{model}"
)[1]["$defs"]
"""What a request is made of, for the components of an OpenAPI document."""


def job_in(body: bytes, headers: Mapping[bytes, bytes]) -> JobRequest:
    """The job that a request asks for.

    Raises:
        ProblemError: ``unsupported_media_type``, ``malformed``, ``too_many_pictures`` (or words),
            ``invalid``.
    """
    kind = headers.get(b"content-type", b"")
    if kind.partition(b";")[0].strip().lower() != JSON_TYPE:
        raise ProblemError(
            "unsupported_media_type",
            f"the Content-Type is {shown(kind)}; expected application/json",
        )
    parsed_json(body, most_values(pictures=0, words=_MOST_WORDS))
    try:
        return JobRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:5]
        what = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in found)
        raise ProblemError("invalid", what) from None


class JobAnswer(BaseModel):
    """A bulk job as it is now."""

    id: str
    state: Literal["queued", "listing", "reading", "cancelling", "finished", "failed", "cancelled"]
    done: int = Field(description="pictures read, those with an error included")
    failed: int = Field(description="pictures that can't be read")
    total: int = Field(description="pictures found so far; all of them once listed")
    listed: bool
    rate: float | None = Field(description="pictures a second lately")
    seconds_left: float | None
    error: str | None = Field(description="why the job failed")
    created: str = Field(description="ISO 8601, UTC")
    input: str
    output: str
    options: dict[str, Any]
    model: dict[str, str] = Field(description="digest and address of the bundle")
    report: dict[str, Any] | None = Field(
        description="counts of the output's rows, when the job is finished; not in lists"
    )
    report_page: str | None = Field(description="address of the page that shows it")


class JobList(BaseModel):
    """Bulk jobs, newest first."""

    jobs: list[JobAnswer]
    before: str | None = Field(description="to be given to list older jobs; null at the end")


def answer(look: Look) -> JobAnswer:
    """A job as the API gives it."""
    record, progress = look.record, look.progress
    return JobAnswer(
        id=record.id,
        state=look.state,  # type: ignore[arg-type]  # checked by pydantic
        done=progress.done,
        failed=progress.failed,
        total=progress.total,
        listed=progress.listed,
        rate=progress.rate,
        seconds_left=progress.seconds_left,
        error=look.error,
        created=record.created,
        input=record.input,
        output=record.output,
        options=dict(record.options),
        model={"digest": record.digest, "uri": record.bundle},
        report=dict(progress.report) if progress.report else None,
        report_page=progress.page,
    )
