"""The peer of ``bench/serve.py``: the same model behind plain FastAPI and uvicorn, no batching.

    BUNDLE=bundles/strings uvicorn bench.sides.plain_fastapi:app --factory --workers 2

What one writes first: each request is decoded and read by itself, in a thread of the web server.
No bounds, no isolation of decoders, no batches across requests.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from fastapi import FastAPI, UploadFile

from crnn.inference.recognizer import Recognizer


def app() -> FastAPI:
    """The application, with the bundle that the environment names."""
    torch.set_num_threads(1)
    recognizer = Recognizer.load(os.environ["BUNDLE"], engine=os.environ.get("ENGINE", "auto"))
    served = FastAPI()

    @served.post("/v1/recognize")
    def recognize(files: list[UploadFile]) -> dict[str, Any]:
        results = recognizer.read([file.file.read() for file in files])
        return {
            "results": [
                {
                    "text": result.text,
                    "confidence": result.confidence,
                    "chars": [char._asdict() for char in result.chars],
                }
                for result in results
            ]
        }

    return served
