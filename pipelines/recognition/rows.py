"""One row of the results for every input, or for every line of a page, successful or not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crnn.decode.decoded import characters
from crnn.inference.readings import Readings
from crnn.result import LOW_CONFIDENCE
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


PAGE, LINE = pa.field("page", pa.int32()), pa.field("line", pa.int32())
PAGE_SCHEMA = pa.schema([*[*RESULT_SCHEMA][:2], PAGE, LINE, *[*RESULT_SCHEMA][2:]])
"""Schema of a job that reads whole pages. Both numbers count from 1; ``page`` is null where the
file can't be opened, ``line`` if the page has no text or can't be opened."""
NO_TEXT = "no_text"
"""Not an error in the results: a row with an empty text, no line and no confidence."""


class Counted(NamedTuple):
    """What was found in files of whole pages."""

    pages: int = 0
    """Those that failed included, but none of files that can't be opened."""
    lines: int = 0

    def plus(self, other: Counted) -> Counted:
        """Both together."""
        return Counted(self.pages + other.pages, self.lines + other.lines)


def counted(rows: pa.Table) -> Counted | None:
    """Pages and lines of these rows; None where they have none."""
    if PAGE.name not in rows.column_names:
        return None
    lines = rows[LINE.name]
    bare = pc.and_(pc.is_valid(rows[PAGE.name]), pc.is_null(lines))
    begun = pc.sum(pc.equal(lines, 1)).as_py() or 0
    return Counted(begun + (pc.sum(bare).as_py() or 0), len(lines) - lines.null_count)


def result_table(
    inputs: pa.Table, readings: Readings, *, min_confidence: float, chars: bool
) -> pa.Table:
    """A table of ``RESULT_SCHEMA`` of a chunk's inputs and what they read, in their order; of
    ``PAGE_SCHEMA`` where the inputs have pages."""
    failed = np.zeros(len(readings), dtype=np.bool_)
    failed[list(readings.errors)] = True
    codes: list[str | None] = [None] * len(readings)
    messages: list[str | None] = [None] * len(readings)
    for place in np.flatnonzero(readings.confidences < min_confidence).tolist():
        confidence = readings.confidences[place]
        codes[place] = LOW_CONFIDENCE
        messages[place] = f"{confidence:.4f}; the minimum is {min_confidence:g}"
    bare = np.zeros(len(readings), dtype=np.bool_)
    for place, error in readings.errors.items():
        bare[place] = error.reason == NO_TEXT
        told = (None, None) if bare[place] else (error.reason, str(error))
        codes[place], messages[place] = told
    columns: dict[str, Any] = {
        "uri": inputs["uri"],
        "etag": inputs["etag"],
        "region": inputs["region"],
        "text": pa.array(readings.texts, pa.string(), mask=failed & ~bare),
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
    if PAGE.name not in inputs.column_names:
        return pa.table(columns, schema=RESULT_SCHEMA)
    columns |= {name: inputs[name] for name in (PAGE.name, LINE.name)}
    return pa.table(columns, schema=PAGE_SCHEMA)


def as_results(table: pa.Table, schema: pa.Schema | None = None) -> pa.Table:
    """Rows of ``RESULT_SCHEMA``, or of ``PAGE_SCHEMA`` where they have pages, or of the ``schema``
    that is meant; columns that there weren't when they were written are null."""
    if schema is None:
        schema = PAGE_SCHEMA if PAGE.name in table.column_names else RESULT_SCHEMA
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


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
