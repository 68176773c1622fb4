"""A thread that reads: a batch from the batcher, through its own engine, results to the callers.

Shape suffixes: T time steps, N pictures, C classes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from crnn.decode import Decoder, greedy
from crnn.errors import EngineError, PictureError, WorkersLostError
from crnn.online.batcher import Batch, Batcher
from crnn.online.observer import Observer
from crnn.online.request import Entry
from crnn.prepare import Prepared
from crnn.recognizer import Recognizer
from crnn.result import Result

log = logging.getLogger(__name__)
FAILURES = 3
"""Batches in a row that an engine fails on until there is no point in more."""
Answer = tuple[Entry, Result | Exception]
"""What becomes of a picture; an exception is its whole request's."""


class EngineThread(threading.Thread):
    """Reads until the batcher is closed. Its pictures' decoders may differ within a batch."""

    def __init__(
        self,
        recognizer: Recognizer,
        batcher: Batcher,
        observer: Observer,
        slow_decoding: ThreadPoolExecutor,
        deliver: Callable[[list[Answer]], None],
        fail: Callable[[WorkersLostError], None],
    ) -> None:
        """Make it; ``start`` it.

        Args:
            recognizer: whose engine no other thread uses.
            batcher: where batches come from.
            observer: told of each batch.
            slow_decoding: where decoders run that take longer than the engine; one thread.
            deliver: takes answers, from any thread.
            fail: told when reading is over for good.
        """
        super().__init__(name="online-engine", daemon=True)
        self._recognizer, self._batcher, self._observer = recognizer, batcher, observer
        self._slow_decoding, self._deliver, self._fail = slow_decoding, deliver, fail
        self._failures = 0

    def run(self) -> None:
        """What the thread does."""
        try:
            while (batch := self._batcher.take()) is not None:
                self._read(batch)
                self._batcher.done()
        except BaseException as error:
            self._fail(WorkersLostError(f"an engine's thread failed: {error!r}"))
            raise

    def _read(self, batch: Batch) -> None:
        if batch.bucket_width is None:
            self._hand_over(batch.entries, [self._error(entry) for entry in batch.entries])
            return
        began_s = time.monotonic()
        try:
            log_probs_TNC = self._recognizer.read_batch_pixels(
                np.stack([_prepared(entry).pixels for entry in batch.entries])
            )
        except Exception as error:
            self._engine_failed(batch, error)
            return
        self._failures = 0
        engine_s = time.monotonic() - began_s
        for decode, chars, places in _by_decoder(batch.entries):
            entries, part_TNC = batch.entries, log_probs_TNC
            if len(places) < len(entries):
                entries, part_TNC = [entries[n] for n in places], log_probs_TNC[:, places]
            if decode is greedy:
                self._decode(entries, part_TNC, decode, chars)
            else:
                self._slow_decoding.submit(self._decode, entries, part_TNC, decode, chars)
        self._tell_batch(batch, began_s, engine_s)

    def _decode(
        self, entries: Sequence[Entry], log_probs_TNC: torch.Tensor, decode: Decoder, chars: bool
    ) -> None:
        pictures = [_prepared(entry) for entry in entries]
        try:
            results = self._recognizer.results(pictures, log_probs_TNC, decode, chars=chars)
        except Exception as error:  # a decoder is the caller's: so is its failure
            self._deliver([(entry, error) for entry in entries])
        else:
            self._hand_over(entries, results)

    def _hand_over(self, entries: Sequence[Entry], results: Sequence[Result]) -> None:
        self._deliver(list(zip(entries, results, strict=True)))
        try:
            self._observer.results(results)
        except Exception:
            log.exception("an observer failed")

    def _tell_batch(self, batch: Batch, began_s: float, engine_s: float) -> None:
        assert batch.bucket_width is not None
        try:
            self._observer.batch(
                bucket_width=batch.bucket_width,
                pictures=len(batch.entries),
                decode_s=max(e.ready_s - e.request.accepted_s for e in batch.entries),
                queue_s=began_s - batch.entries[0].ready_s,
                engine_s=engine_s,
            )
        except Exception:
            log.exception("an observer failed")

    def _error(self, entry: Entry) -> Result:
        assert isinstance(entry.picture, PictureError)
        return self._recognizer.error(entry.picture)

    def _engine_failed(self, batch: Batch, error: Exception) -> None:
        log.error("the engine failed", exc_info=error)
        self._failures += 1
        answer = EngineError(
            f"engine {self._recognizer.engine!r} failed on {len(batch.entries)} pictures of "
            f"{batch.bucket_width} px: {error!r}"
        )
        self._deliver([(entry, answer) for entry in batch.entries])
        if self._failures == FAILURES:
            self._fail(
                WorkersLostError(f"the engine failed {FAILURES} times in a row; last: {error!r}")
            )


def _prepared(entry: Entry) -> Prepared:
    assert isinstance(entry.picture, Prepared)
    return entry.picture


def _by_decoder(entries: Sequence[Entry]) -> list[tuple[Decoder, bool, list[int]]]:
    """The places of the pictures that are decoded alike."""
    found: dict[tuple[int, bool], tuple[Decoder, bool, list[int]]] = {}
    for place, entry in enumerate(entries):
        decode, chars = entry.request.decode, entry.request.chars
        found.setdefault((id(decode), chars), (decode, chars, []))[2].append(place)
    return list(found.values())
