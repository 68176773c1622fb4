"""One row of the results for every input, whatever happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from crnn.result import CharResult, Result
from pipelines.recognition.inputs import REGION

CHAR = pa.struct(
    [
        ("char", pa.string()),
        ("probability", pa.float32()),
        ("x0", pa.float32()),
        ("x1", pa.float32()),
    ]
)
RESULT_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("region", REGION),
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("chars", pa.list_(CHAR)),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("model", pa.string()),
    ]
)
"""``error_code`` is null where the reading is good, ``text`` where the picture wasn't read."""
LOW_CONFIDENCE = "low_confidence"
"""Error of a reading that is less sure than the caller wants; its row keeps the text."""


def result_table(
    inputs: pa.Table, results: Sequence[Result], *, min_confidence: float, chars: bool
) -> pa.Table:
    """A table of ``RESULT_SCHEMA`` of a chunk's inputs and their results, in their order."""
    verdicts = [_verdict(result, min_confidence) for result in results]
    codes = [code for code, _ in verdicts]
    read = [result.error_code is None for result in results]
    columns: dict[str, Any] = {
        "uri": inputs["uri"],
        "etag": inputs["etag"],
        "region": inputs["region"],
        "text": _where(read, [result.text for result in results]),
        "confidence": _where(read, [result.confidence for result in results]),
        "chars": _characters(results, read if chars else [False] * len(read)),
        "error_code": codes,
        "error_message": [message for _, message in verdicts],
        "model": [result.model for result in results],
    }
    return pa.table(columns, schema=RESULT_SCHEMA)


def _verdict(result: Result, min_confidence: float) -> tuple[str | None, str | None]:
    """Code and message of what is wrong with a result."""
    if result.error_code is not None:
        return result.error_code, result.error_message
    if result.confidence < min_confidence:
        return LOW_CONFIDENCE, f"{result.confidence:.4f}; the minimum is {min_confidence:g}"
    return None, None


def _where(given: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    return [value if there else None for there, value in zip(given, values, strict=True)]


def _characters(results: Sequence[Result], given: Sequence[bool]) -> pa.Array:
    """Lists of ``CHAR``, null where not given; flat columns first, which Arrow takes fast."""
    offsets: list[int | None] = []
    flat: list[CharResult] = []
    for result, there in zip(results, given, strict=True):
        offsets.append(len(flat) if there else None)
        flat += result.chars if there else ()
    structs = pa.StructArray.from_arrays(
        [
            pa.array([char.char for char in flat], pa.string()),
            pa.array([char.probability for char in flat], pa.float32()),
            pa.array([char.x0 for char in flat], pa.float32()),
            pa.array([char.x1 for char in flat], pa.float32()),
        ],
        fields=list(CHAR),
    )
    return pa.ListArray.from_arrays(pa.array([*offsets, len(flat)], pa.int32()), structs)
