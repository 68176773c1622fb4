"""For schemathesis: addresses that a service takes among those that it thinks up, for /v1/jobs.

What is left of its own addresses tests how they are refused; with these it gets to starting jobs.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import schemathesis

_FOLDER = os.environ["CRNN_FUZZ_FOLDER"]
_INPUTS = ("", "/crops", "/crops/*.png", "/crops/0.png", "/list.csv", "/../x", "/gone")
_OUTPUTS = ("", "/out", "/out-2", "/_jobs/x", "/../x", "?endpoint_override=h")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """The same body, its addresses exchanged by what they hash to."""
    if context.operation.path == "/v1/jobs" and isinstance(body, dict):
        for name, endings in (("input", _INPUTS), ("output", _OUTPUTS)):
            if isinstance(body.get(name), str):
                body[name] = _exchanged(body[name], endings)
    return body


def _exchanged(address: str, endings: tuple[str, ...]) -> str:
    ending = endings[zlib.crc32(address.encode("utf-8", "surrogatepass")) % len(endings)]
    return _FOLDER + ending if ending else address
