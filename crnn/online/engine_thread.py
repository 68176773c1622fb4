"""A thread that reads: a batch from the batcher, through its own engine, results to the callers.

Shape suffixes: T time steps, N pictures, C classes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from crnn.decode import Decoder, greedy
from crnn.errors import EngineError, PictureError, WorkersLostError
from crnn.images.prepare import Prepared, Small
from crnn.inference.doubt import Then
from crnn.inference.recognizer import Recognizer
from crnn.online.batcher import Batch, Batcher
from crnn.online.observer import Observer, Pass
from crnn.online.request import Attempts, QueuedPicture
from crnn.online.turns import InTurn
from crnn.result import Result

log = logging.getLogger(__name__)
FAILURES = 3
"""After this many batches in a row that failed, an engine gives up."""
Answer = tuple[QueuedPicture, Result | Exception]
"""What becomes of a picture; an exception is its whole request's."""


class EngineThread(threading.Thread):
    """Reads until the batcher is closed. Its pictures' decoders may differ within a batch."""

    def __init__(
        self,
        recognizer: Recognizer,
        batcher: Batcher,
        observer: Observer,
        slow_decoding: InTurn,
        decode_apart: Callable[[list[QueuedPicture]], None],
        deliver: Callable[[list[Answer]], None],
        fail: Callable[[WorkersLostError], None],
        second: Recognizer | None = None,
        then: Then | None = None,
        read_again: Callable[[list[tuple[QueuedPicture, Result]]], None] = lambda doubtful: None,
    ) -> None:
        """Make it; ``start`` it.

        Args:
            recognizer: whose engine no other thread uses.
            batcher: where batches come from.
            observer: told of each batch.
            slow_decoding: where decoders run that take longer than the engine, by turns.
            decode_apart: takes small pictures that turned out not to be sound, from any thread.
            deliver: takes answers, from any thread.
            fail: told when reading is over for good.
            second: of the second bundle of a cascade, to be used as ``recognizer`` is.
            then: which pictures that one is to read too, and which reading counts.
            read_again: takes such pictures, and what was read first, from any thread.
        """
        super().__init__(name="online-engine", daemon=True)
        self._recognizer, self._batcher, self._observer = recognizer, batcher, observer
        self._slow_decoding, self._decode_apart = slow_decoding, decode_apart
        self._deliver, self._fail = deliver, fail
        self._second = second or recognizer
        self._then, self._read_again = then, read_again
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
        bucket = batch.bucket
        if bucket is None:
            self._hand_over(batch.entries, [self._error(entry) for entry in batch.entries])
            return
        began_s = time.monotonic()
        recognizer = self._second if bucket.is_second else self._recognizer
        entries, pictures = self._prepared(batch.entries, recognizer)
        if not entries:
            return
        decoded_s = time.monotonic()
        try:
            log_probs_TNC = recognizer.read_batch_pixels(
                np.stack([picture.pixels for picture in pictures])
            )
        except Exception as error:
            self._engine_failed(recognizer, bucket.width_px, entries, error)
            return
        self._failures = 0
        engine_s = time.monotonic() - decoded_s
        for decode, chars, places in _by_decoder(entries):
            part = partial(self._decode, recognizer, entries, pictures, log_probs_TNC)
            if decode is greedy:
                part(places, decode, chars)
            else:
                turn = entries[places[0]].turn
                self._slow_decoding.submit(turn, partial(part, places, decode, chars))
        self._tell_batch(bucket.width_px, entries, began_s, decoded_s - began_s, engine_s)

    def _prepared(
        self, entries: Sequence[QueuedPicture], recognizer: Recognizer
    ) -> tuple[list[QueuedPicture], list[Prepared]]:
        """Those that are ready or can be made ready here, and their pictures."""
        contract = recognizer.bundle.picture
        ready: list[QueuedPicture] = []
        pictures: list[Prepared] = []
        unsound: list[QueuedPicture] = []
        for entry in entries:
            picture = entry.picture
            if isinstance(picture, Small):
                picture = picture.prepare(contract) or picture
            if isinstance(picture, Prepared):
                ready.append(entry)
                pictures.append(picture)
            else:
                unsound.append(entry)
        if unsound:
            self._decode_apart(unsound)
        return ready, pictures

    def _decode(
        self,
        recognizer: Recognizer,
        entries: Sequence[QueuedPicture],
        pictures: Sequence[Prepared],
        log_probs_TNC: torch.Tensor,
        places: Sequence[int],
        decode: Decoder,
        chars: bool,
    ) -> None:
        """Those of a batch that are at ``places``, but for requests that are over by now."""
        places = [n for n in places if not entries[n].request.is_over]
        if not places:
            return
        if len(places) < len(entries):
            entries, pictures = [entries[n] for n in places], [pictures[n] for n in places]
            log_probs_TNC = log_probs_TNC[:, places]
        try:
            readings = recognizer.readings(pictures, log_probs_TNC, decode, chars=chars)
        except Exception as error:  # a decoder is the caller's: so is its failure
            self._deliver([(entry, error) for entry in entries])
            return
        found = zip(readings.results(), readings.log_probabilities.tolist(), strict=True)
        done: list[tuple[QueuedPicture, Result]] = []
        doubtful: list[tuple[QueuedPicture, Result]] = []
        for entry, picture, (result, log_probability) in zip(entries, pictures, found, strict=True):
            counts = self._counts(recognizer, entry, picture, result, log_probability)
            if counts is None:
                continue
            if self._then and entry.first is not None:
                done.append((entry, self._then.settled(entry.first, counts)))
            elif self._then and self._then.is_doubtful(counts):
                doubtful.append((entry, counts))
            else:
                done.append((entry, counts))
        if doubtful:
            self._read_again(doubtful)
        if done:
            self._hand_over(*map(list, zip(*done, strict=True)))

    def _counts(
        self,
        recognizer: Recognizer,
        entry: QueuedPicture,
        picture: Prepared,
        result: Result,
        log_probability: float,
    ) -> Result | None:
        """What the bundle reads in the picture; None while others of its readings are to come.

        Those that the bundle's reading policy wants wait in the batcher like any picture. They
        take no place of their own in the queue: the first reading's pixels are gone by then.
        """
        if entry.attempts is not None:
            return entry.attempts.put(entry.number, result, log_probability)
        others = recognizer.again(picture, log_probability)
        if not others:
            return result
        attempts, now_s = Attempts(result, log_probability, len(others)), time.monotonic()
        self._batcher.add_unexpected(
            [
                QueuedPicture(
                    entry.request,
                    entry.index,
                    other,
                    other.pixels.shape[1],
                    now_s,
                    attempts,
                    number,
                    entry.first,
                )
                for number, other in enumerate(others, 1)
            ]
        )
        return None

    def _hand_over(self, entries: Sequence[QueuedPicture], results: Sequence[Result]) -> None:
        self._deliver(list(zip(entries, results, strict=True)))
        told = [
            result
            for entry, result in zip(entries, results, strict=True)
            if not entry.request.is_of_page
        ]
        try:
            if told:
                self._observer.results(told)
        except Exception:
            log.exception("an observer failed")

    def _tell_batch(
        self,
        bucket_width: int,
        entries: Sequence[QueuedPicture],
        began_s: float,
        decode_s: float,
        engine_s: float,
    ) -> None:
        """``decode_s``: that was needed here."""
        try:
            done = Pass(
                bucket_width=bucket_width,
                pictures=len(entries),
                decode_s=max(_waited_s(entry) for entry in entries) + decode_s,
                queue_s=began_s - entries[0].ready_s,
                engine_s=engine_s,
            )
            self._observer.batch(done)
        except Exception:
            log.exception("an observer failed")

    def _error(self, entry: QueuedPicture) -> Result:
        assert isinstance(entry.picture, PictureError)
        if entry.first is not None:  # the second bundle couldn't prepare it
            return entry.first
        return self._recognizer.error(entry.picture)

    def _engine_failed(
        self,
        recognizer: Recognizer,
        bucket_width: int,
        entries: Sequence[QueuedPicture],
        error: Exception,
    ) -> None:
        log.error("the engine failed", exc_info=error)
        self._failures += 1
        answer = EngineError(
            f"engine {recognizer.engine!r} failed on {len(entries)} pictures of "
            f"{bucket_width} px: {error!r}"
        )
        self._deliver([(entry, answer) for entry in entries])
        if self._failures == FAILURES:
            self._fail(
                WorkersLostError(f"the engine failed {FAILURES} times in a row; last: {error!r}")
            )


def _waited_s(entry: QueuedPicture) -> float:
    """For being decoded; a second reading didn't."""
    is_again = entry.attempts is not None or entry.is_second
    return 0.0 if is_again else entry.ready_s - entry.request.accepted_s


def _by_decoder(entries: Sequence[QueuedPicture]) -> list[tuple[Decoder, bool, list[int]]]:
    """The places of the pictures that are decoded alike."""
    found: dict[tuple[int, bool], tuple[Decoder, bool, list[int]]] = {}
    for place, entry in enumerate(entries):
        decode, chars = entry.decode, entry.request.chars
        found.setdefault((id(decode), chars), (decode, chars, []))[2].append(place)
    return list(found.values())
