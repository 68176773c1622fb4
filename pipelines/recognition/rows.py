"""One row of the results for every input, successful or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crnn.decode.decoded import characters
from crnn.readings import Readings
from pipelines.recognition.finished import LOW_CONFIDENCE
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
        ("squeezed", pa.bool_()),
        ("turned", pa.int16()),
        ("chars", pa.list_(CHAR)),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("model", pa.string()),
    ]
)
"""``error_code`` is null where the reading is good, ``text`` where the picture wasn't read; an
empty one, in which nothing was found, has confidence 0. ``squeezed`` and ``turned`` (degrees
clockwise) as ``crnn.Result`` has them."""


def result_table(
    inputs: pa.Table, readings: Readings, *, min_confidence: float, chars: bool
) -> pa.Table:
    """A table of ``RESULT_SCHEMA`` of a chunk's inputs and what they read, in their order."""
    failed = np.zeros(len(readings), dtype=np.bool_)
    failed[list(readings.errors)] = True
    codes: list[str | None] = [None] * len(readings)
    messages: list[str | None] = [None] * len(readings)
    for place in np.flatnonzero(readings.confidences < min_confidence).tolist():
        confidence = readings.confidences[place]
        codes[place] = LOW_CONFIDENCE
        messages[place] = f"{confidence:.4f}; the minimum is {min_confidence:g}"
    for place, error in readings.errors.items():
        codes[place], messages[place] = error.reason, str(error)
    columns: dict[str, Any] = {
        "uri": inputs["uri"],
        "etag": inputs["etag"],
        "region": inputs["region"],
        "text": pa.array(readings.texts, pa.string(), mask=failed),
        "confidence": pa.array(readings.confidences.astype(np.float32), mask=failed),
        "squeezed": pa.array(readings.squeezed, mask=failed),
        "turned": pa.array(readings.turned, mask=failed),
        "chars": _characters(readings, failed)
        if chars
        else pa.nulls(len(readings), pa.list_(CHAR)),
        "error_code": codes,
        "error_message": messages,
        "model": readings.models,
    }
    return pa.table(columns, schema=RESULT_SCHEMA)


def as_results(table: pa.Table) -> pa.Table:
    """Rows of ``RESULT_SCHEMA``; columns that there weren't when they were written are null."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in RESULT_SCHEMA
    ]
    return pa.table(columns, schema=RESULT_SCHEMA)


def _characters(readings: Readings, failed: NDArray[np.bool_]) -> pa.Array:
    """Lists of ``CHAR``, null where nothing could be read."""
    structs = pa.StructArray.from_arrays(
        [
            pa.array(list(characters(readings.code_points)), pa.string()),
            pa.array(readings.probabilities.astype(np.float32)),
            pa.array(readings.x0.astype(np.float32)),
            pa.array(readings.x1.astype(np.float32)),
        ],
        fields=list(CHAR),
    )
    offsets = pa.array(readings.bounds.astype(np.int32), mask=np.append(failed, False))
    return pa.ListArray.from_arrays(offsets, structs)
