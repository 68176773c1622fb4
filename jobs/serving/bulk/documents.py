"""What is written in requests and answers of ``/v1/jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from jobs.serving.bulk.work import Look

_MOST_WORDS = 100_000
_Word = Annotated[str, Field(min_length=1, max_length=256)]


class JobOptions(BaseModel):
    """How the pictures of a bulk job are read; the same as the flags of jobs/recognize.py."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decoder: Annotated[
        Literal["greedy", "beam", "lexicon"] | None,
        Field(description="default: lexicon where there is one, else the bundle's"),
    ] = None
    lexicon: Annotated[
        Annotated[list[_Word], Field(min_length=1, max_length=_MOST_WORDS)] | str | None,
        Field(description="the words allowed, or the address of a file with one a line"),
    ] = None
    chars: Annotated[
        bool | None, Field(description="give each character's probability and place")
    ] = None
    min_confidence: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None,
        Field(description="readings less sure than this become errors, low_confidence"),
    ] = None
    all_files: Annotated[
        bool | None, Field(description="read files too whose names don't end like pictures'")
    ] = None
    retry_failed: Annotated[
        bool | None, Field(description="read again the inputs whose row is an error")
    ] = None


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

    input: str = Field(description="a folder or prefix, a pattern, or one picture")
    output: str = Field(description="folder of the results")
    options: JobOptions = JobOptions()


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
        description="what lies in the output, when the job is finished; not in lists"
    )
    report_page: str | None = Field(description="address of the page that shows it")


class JobList(BaseModel):
    """Bulk jobs, newest first."""

    jobs: list[JobAnswer]
    before: str | None = Field(description="to be given for the older ones; null at the end")


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
