"""Whole pages read in this process, without Ray; decoded and drawn in another one, as in a job."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import tee
from typing import Any

from crnn.decode import Decoder
from crnn.errors import PictureError
from crnn.images.sandbox.pool import PicturePool
from crnn.inference.cascade import Cascade
from crnn.inference.recognizer import Recognizer
from crnn.pages.lines import Line, read_lines
from crnn.pages.stream import pages_of
from pipelines.recognition.config import ReadOptions
from pipelines.recognition.source import picture_bytes


def read_pages_here(
    names: Iterator[str],
    recognizer: Recognizer | Cascade,
    decode: Decoder | None,
    options: ReadOptions,
    as_json: bool,
) -> int:
    """Print the lines of these files in reading order, a page at a time; how many pages failed.

    An empty line stands between pages. As JSON, one object a page. What can't be opened is told on
    stderr, with the reason.

    Raises:
        DataError: when there is no detector.
    """
    if isinstance(recognizer, Cascade):
        first, second = recognizer.first, recognizer.second_of_pages(decode)
    else:
        first, second = recognizer, None
    detector, decode = options.page_detector(), decode or first.decoder()
    failed = shown = 0
    names, to_open = tee(names)
    file, name = -1, ""
    with PicturePool(first.bundle.picture) as pool:
        for one in pages_of(pool, map(_bytes, to_open), options.page_request):
            while file < one.file:
                file, name = file + 1, next(names)
            number = None if one.number is None else one.number + 1
            if isinstance(one.page, PictureError):
                failed += 1
                _show_error(name, number, one.page, as_json=as_json)
                continue
            chars, pixels = as_json and options.chars, one.page.pixels
            try:
                lines = read_lines(pixels, detector, first, decode, chars=chars, second=second)
            except PictureError as error:  # of the detector, on this page
                failed += 1
                _show_error(name, number, error, as_json=as_json)
                continue
            if as_json:
                _print_json({"id": name, "page": number, "lines": [_plain(line) for line in lines]})
            else:
                print("\n" * bool(shown) + "\n".join(line.text for line in lines), flush=True)
            shown += 1
    return failed


def _bytes(name: str) -> bytes | PictureError:
    try:
        return picture_bytes(name)
    except PictureError as error:
        return error


def _show_error(name: str, number: int | None, error: PictureError, *, as_json: bool) -> None:
    place = name if number is None else f"{name}, page {number}"
    print(f"{place}: {error.reason}: {error}", file=sys.stderr)
    if as_json:
        found = {"code": error.reason, "message": str(error)}
        _print_json({"id": name, "page": number, "error": found})


def _plain(line: Line) -> dict[str, Any]:
    """A line as JSON has it."""
    result = line.result
    plain: dict[str, Any] = {
        "text": result.text,
        "confidence": result.confidence,
        "region": line.region,
        "score": round(line.score, 4),
        "turned": result.turned,
        "model": result.model,
    }
    if result.error_code:
        plain["error"] = {"code": result.error_code, "message": result.error_message}
    if result.chars:
        plain["chars"] = [char._asdict() for char in result.chars]
    return plain


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)
