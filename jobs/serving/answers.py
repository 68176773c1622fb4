"""Results → the JSON of ``POST /v1/recognize``."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from crnn import wire
from crnn.result import LOW_CONFIDENCE, CharResult, Result


def recognized(
    model: str,
    digest: str,
    ids: Sequence[str],
    results: Sequence[Result],
    options: wire.ReadingOptions,
    *,
    with_models: bool = False,
) -> bytes:
    """The document: the model, and a result or an error for each picture, in request order.

    ``with_models``: each result says which bundle of a cascade read it.
    """
    answer: wire.Results = {
        "model": {"name": model, "digest": digest},
        "results": [
            _entry(picture, result, options, with_model=with_models)
            for picture, result in zip(ids, results, strict=True)
        ],
    }
    return orjson.dumps(answer)


def chars_of(chars: Sequence[CharResult]) -> list[wire.Char]:
    """Characters with their probability and columns of the source picture, px."""
    return [{"char": c.char, "probability": c.probability, "x0": c.x0, "x1": c.x1} for c in chars]


def wrong(result: Result, options: wire.ReadingOptions) -> wire.Error | None:
    """What is wrong with a result; None where it is good."""
    if result.error_code is not None:
        return {"code": result.error_code, "message": result.error_message or ""}
    least = options["min_confidence"]
    if result.confidence < least:
        message = f"{result.confidence:.4f}; the minimum is {least:g}"
        return {"code": LOW_CONFIDENCE, "message": message}
    return None


def _entry(
    picture: str, result: Result, options: wire.ReadingOptions, *, with_model: bool
) -> wire.Result:
    error = wrong(result, options)
    if result.error_code is None:
        entry: wire.Result = {
            "id": picture,
            "text": result.text,
            "confidence": result.confidence,
            "squeezed": result.squeezed,
            "turned": result.turned,
        }
        if options["chars"]:
            entry["chars"] = chars_of(result.chars)
    else:
        entry = {"id": picture}
    if with_model:
        entry["model"] = result.model
    if error is not None:
        entry["error"] = error
    return entry
