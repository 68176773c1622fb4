"""Proof of what was trained on: the sample ids of every step, a file a rank and start.

A file is appended to and flushed at every step, so that it is complete up to a SIGKILL. On an
object store, where nothing can be appended, it is a folder with an object for every line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from crnn.files import storage
from crnn.training.batch import ReadyBatch

AUDIT_FOLDER = "audit"


class AuditLog:
    """JSON lines: ``{"step", "epoch", "ids", "loss"}``, and ``{"checkpoint": step}``."""

    def __init__(self, run_uri: str, rank: int) -> None:
        name = f"{time.time():.3f}-rank{rank}-pid{os.getpid()}.jsonl"
        self._address = storage.join(run_uri, AUDIT_FOLDER, name)
        self._lines = 0
        self._file: IO[str] | None = None
        if storage.is_local(run_uri):
            path = Path(storage.absolute(self._address))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def step(self, step: int, epoch: int, batches: Sequence[ReadyBatch], loss: float) -> None:
        """The samples that a step was made from, on this rank; the mean loss over all ranks."""
        ids = [sample_id for batch in batches for sample_id in batch.ids]
        self._write({"step": step, "epoch": epoch, "ids": ids, "loss": loss})

    def checkpoint(self, step: int) -> None:
        """A checkpoint after this step is about to be reported."""
        self._write({"checkpoint": step})

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry) + "\n"
        if self._file:
            self._file.write(line)
            self._file.flush()
            return
        storage.write_bytes(storage.join(self._address, f"{self._lines:08}"), line.encode())
        self._lines += 1
