"""Results → the JSON of ``POST /v1/recognize``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from crnn.result import LOW_CONFIDENCE, CharResult, Result
from jobs.serving.asked import Options


def recognized(
    model: str,
    digest: str,
    ids: Sequence[str],
    results: Sequence[Result],
    options: Options,
    *,
    with_models: bool = False,
) -> bytes:
    """The document: the model, and a result or an error for each picture, in request order.

    ``with_models``: each result says which bundle of a cascade read it.
    """
    entries = [
        _entry(picture, result, options, with_model=with_models)
        for picture, result in zip(ids, results, strict=True)
    ]
    return answer(model, digest, entries)


def answer(model: str, digest: str, entries: Sequence[dict[str, Any]]) -> bytes:
    """The document of what was read in each input, in request order."""
    return orjson.dumps({"model": {"name": model, "digest": digest}, "results": entries})


def chars_of(chars: Sequence[CharResult]) -> list[dict[str, Any]]:
    """Characters with their probability and columns of the source picture, px."""
    return [{"char": c.char, "probability": c.probability, "x0": c.x0, "x1": c.x1} for c in chars]


def verdict(result: Result, min_confidence: float) -> tuple[str, str] | None:
    """Code and message of what is wrong with a result; None where it is good."""
    if result.error_code is not None:
        return result.error_code, result.error_message or ""
    if result.confidence < min_confidence:
        return LOW_CONFIDENCE, f"{result.confidence:.4f}; the minimum is {min_confidence:g}"
    return None


def _entry(picture: str, result: Result, options: Options, *, with_model: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": picture}
    if with_model:
        entry["model"] = result.model
    if result.error_code is None:
        entry["text"] = result.text
        entry["confidence"] = result.confidence
        entry["squeezed"] = result.squeezed
        entry["turned"] = result.turned
        if options.chars:
            entry["chars"] = chars_of(result.chars)
    wrong = verdict(result, options.min_confidence)
    if wrong is not None:
        entry["error"] = {"code": wrong[0], "message": wrong[1]}
    return entry
