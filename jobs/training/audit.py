"""Proof of what was trained on: the sample ids of every step, a file a rank and start.

A file is appended to and flushed at every step, so that it is complete up to a SIGKILL.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crnn import storage
from crnn.training.batch import ReadyBatch

AUDIT_FOLDER = "audit"


class AuditLog:
    """JSON lines: ``{"step", "epoch", "ids"}``, and ``{"checkpoint": step}``.

    Raises:
        ValueError: when the run is not in a local folder, where lines can't be appended.
    """

    def __init__(self, run_uri: str, rank: int) -> None:
        if not storage.is_local(run_uri):
            raise ValueError(f"--audit appends to files; {run_uri} is not a local folder")
        folder = Path(run_uri) / AUDIT_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time():.3f}-rank{rank}-pid{os.getpid()}.jsonl"
        self._file = (folder / name).open("a", encoding="utf-8")

    def step(self, step: int, epoch: int, batches: Sequence[ReadyBatch]) -> None:
        """The samples that a step was made from, on this rank."""
        ids = [sample_id for batch in batches for sample_id in batch.ids]
        self._write({"step": step, "epoch": epoch, "ids": ids})

    def checkpoint(self, step: int) -> None:
        """A checkpoint after this step is about to be reported."""
        self._write({"checkpoint": step})

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
