"""``OnlineRecognizer``: many callers' pictures → results, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial

import cv2

from crnn.bundle.bundle import Bundle
from crnn.decode import Decoder
from crnn.errors import ClosedError, PictureError, WorkersLostError
from crnn.images.prepare import Prepared, Small
from crnn.images.sandbox.pool import Encoded
from crnn.inference.doubt import Then
from crnn.online.batcher import Batcher
from crnn.online.config import OnlineConfig
from crnn.online.cores import Cores
from crnn.online.engine_thread import EngineThread
from crnn.online.observer import Observer
from crnn.online.places import Places
from crnn.online.request import Cut, Decoding, QueuedPicture, ReadRequest, not_again
from crnn.online.side import BundleSide
from crnn.online.turns import InTurn
from crnn.online.waiting import Waiting
from crnn.result import Result

_CLOSED = "the recognizer was closed before this was read"


class OnlineRecognizer:
    """A bundle that reads for many callers at once, in batches made across them.

    Use it from one event loop. To change the bundle make another one, send new calls there and
    ``aclose`` the old one: both live until it has answered what it took in.
    """

    def __init__(
        self,
        bundle: Bundle,
        config: OnlineConfig = OnlineConfig(),  # noqa: B008  (frozen)
        observer: Observer | None = None,
        then: Then | None = None,
    ) -> None:
        """Start processes and threads; the engine is built by ``warm_up``, or the first picture.

        ``then`` has what the bundle doubts read by another.

        Raises:
            ValueError: for an unknown engine.
            BundleError: when both bundles are the same.
        """
        self.bundle, self.config, self.then = bundle, config, then
        self.name = then.name(bundle) if then else bundle.name
        self.digest = then.digest(bundle) if then else bundle.digest
        """What decides its readings, both bundles and the bound of a cascade."""
        if config.decodes_small:
            cv2.setNumThreads(1)  # engines are what goes on side by side
        engines = config.engines(len(os.sched_getaffinity(0)))
        count = engines + config.spare_engines
        self._first = BundleSide(bundle, config, engines=count)
        self._second = BundleSide(then.bundle, config, engines=count) if then else None
        self._sides = [self._first, *([self._second] if self._second else [])]
        self.decoder = self._first.recognizers[0].decoder
        """As ``Recognizer.decoder``: what ``read`` takes, from names and words."""
        self._places = Places(config.queue_pictures, config.queue_mb << 20)
        self._batcher = Batcher(
            self._first.recognizers[0].batch_size,
            config.batch_wait_ms / 1000,
            second_size=self._sides[-1].recognizers[0].batch_size,
            engines=engines,
            cores_rest=Cores(),
        )
        self._waiting = Waiting(self._places)
        self._drained = asyncio.Event()
        self._users = 0
        self._is_closing = self._is_closed = False
        self._slow_decoding = InTurn("online-decoder", self._waiting.decoder_failed)
        self._threads = [
            EngineThread(
                self._first.recognizers[number],
                self._batcher,
                observer or Observer(),
                self._slow_decoding,
                partial(self._waiting.call, self._decode_apart),
                self._waiting.deliver,
                self._waiting.fail,
                second=self._second.recognizers[number] if self._second else None,
                then=then,
                read_again=self._read_again,
            )
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def engine(self) -> str:
        """What runs the model, by name."""
        return self._first.engine

    def engines(self) -> list[tuple[Bundle, str]]:
        """Each bundle, and the engine that it runs in."""
        return [(side.bundle, side.engine) for side in self._sides]

    @property
    def pictures(self) -> int:
        """Taken in and not yet answered."""
        return self._places.pictures

    @property
    def failure(self) -> WorkersLostError | None:
        """Why nothing can be read any more, for good."""
        return self._waiting.failure

    def process_ids(self) -> list[int]:
        """Ids of the current decoding processes."""
        return [pid for side in self._sides for pid in side.pool.process_ids()]

    def warm_up(self) -> None:
        """Read a blank picture of every bucket, alone and in a full batch; blocks.

        Raises:
            EngineError: when an engine can't run here, or wasn't proven.
            WorkersLostError: when processes can't be started.
        """
        for side in self._sides:
            side.warm_up()

    async def read(
        self,
        pictures: Sequence[bytes],
        *,
        timeout_s: float,
        decoder: Decoder | None = None,
        chars: bool = True,
    ) -> list[Result]:
        """The results of encoded pictures, in their order, as ``Recognizer.read`` gives them.

        A picture that can't be read gives a result with ``error_code``. Cancelling the call
        frees what it holds. Decoders other than ``greedy`` run one at a time in a thread of
        their own.

        Args:
            pictures: the bytes of files.
            timeout_s: for all of it.
            decoder: by default each bundle's own; ``self.decoder`` makes others.
            chars: whether to report each character's probability and position.

        Raises:
            QueueFullError: when too much is queued already; nothing was taken in.
            DeadlineError: after ``timeout_s``.
            ClosedError: once it is closed.
            EngineError: when the engine failed on one of them.
            WorkersLostError: when nothing can be read any more; see ``failure``.
            ValueError: for bad arguments, such as more pictures than can ever fit; and anything
            that a decoder of the caller raises.
        """
        self._check(pictures, timeout_s)
        if not pictures:
            return []
        small = [self._first.small(data) for data in pictures]
        request = ReadRequest(
            pictures,
            decoder or self._first.decoder,
            decode_again=decoder or self._sides[-1].decoder,
            chars=chars,
            extra=sum(self._first.weight(one) - 1 for one in small),
            now_s=time.monotonic(),
        )
        self._places.take(request.num_pictures, request.num_bytes, request.extra)
        try:
            with self._waiting.of(request, timeout_s):
                self._take_up(request, pictures, small)
                return await request.done
        finally:
            self._places.give_back(request.num_pictures, request.num_bytes, request.extra)
            self._look_if_drained()

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """``aclose`` waits for the end of the block, however many calls are made within.

        Raises:
            ClosedError: once it is closed.
        """
        self._check_open()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._look_if_drained()

    async def read_lines(
        self,
        pictures: Sequence[Prepared | PictureError],
        again: Sequence[Cut] | None = None,
        *,
        timeout_s: float,
        decoder: Decoder | None = None,
        chars: bool = True,
    ) -> list[Result]:
        """As ``read``, for lines of a page that are prepared already; within ``kept_open``.

        They share batches with pictures, and take no places in the queue: how many pages are on
        their way is for the caller to bound.

        Args:
            pictures: by the bundle's contract.
            again: for each of them, what prepares it for the second bundle of a cascade; None:
                that one isn't asked.
            timeout_s: for all of it.
            decoder: as for ``read``.
            chars: as for ``read``.

        Raises:
            DeadlineError: after ``timeout_s``.
            ClosedError: when it was closed meanwhile.
            EngineError: as ``read``, and so ``WorkersLostError``.
        """
        self._waiting.check()
        if self._is_closed:
            raise ClosedError(_CLOSED)
        if not pictures:
            return []
        request = ReadRequest(
            [not_again] * len(pictures) if again is None else again,
            decoder or self._first.decoder,
            decode_again=decoder or self._sides[-1].decoder,
            chars=chars,
            now_s=time.monotonic(),
            is_of_page=True,
        )
        with self._waiting.of(request, timeout_s):
            ready: list[QueuedPicture] = []
            for index, picture in enumerate(pictures):
                if isinstance(picture, PictureError):
                    request.answer(index, self._first.recognizers[0].error(picture))
                else:
                    width = picture.pixels.shape[1]
                    ready.append(QueuedPicture(request, index, picture, width, request.accepted_s))
            self._batcher.add_unexpected(ready)
            return await request.done

    async def aclose(self) -> None:
        """Take in nothing more, answer what was taken in, then end processes and threads."""
        self._is_closing = True
        if self._places.pictures or self._users:
            await self._drained.wait()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End processes and threads now; calls that still wait raise ClosedError."""
        self._is_closing = self._is_closed = True
        self._batcher.close()
        for side in self._sides:
            side.pool.close()
        for thread in self._threads:
            thread.join()
        self._threads = []  # they refer back to this recognizer, and its memory is wanted now
        self._slow_decoding.close()
        self._waiting.fail_all(ClosedError(_CLOSED))

    def _check(self, pictures: Sequence[bytes], timeout_s: float) -> None:
        """Raises what ``read`` does before anything is taken in."""
        self._check_open()
        self._waiting.check()
        if not timeout_s > 0:
            raise ValueError(f"timeout_s is {timeout_s}; expected more than 0")
        if isinstance(pictures, bytes) or not all(isinstance(data, bytes) for data in pictures):
            raise ValueError("expected a sequence of pictures, each the bytes of a file")

    def _check_open(self) -> None:
        if self._is_closing:
            raise ClosedError("the recognizer is closed; use the one that replaced it")

    def _look_if_drained(self) -> None:
        if self._is_closing and not self._places.pictures and not self._users:
            self._drained.set()

    def _take_up(
        self, request: ReadRequest, pictures: Sequence[bytes], found: Sequence[Small | None]
    ) -> None:
        """Small pictures go to the batcher, the others to the processes first."""
        small: list[QueuedPicture] = []
        others: list[int] = []
        for index, picture in enumerate(found):
            if picture is None:
                others.append(index)
            else:
                width = picture.bucket_width(self.bundle.picture)
                small.append(QueuedPicture(request, index, picture, width, request.accepted_s))
        self._batcher.add_unexpected(small)
        self._decode(request, [(index, pictures[index]) for index in others])

    def _read_again(self, doubtful: list[tuple[QueuedPicture, Result]]) -> None:
        """To the second bundle: pictures that the first one read so; from any thread.

        They keep their places in the queue.
        """
        assert self._second is not None
        contract, now_s = self._second.bundle.picture, time.monotonic()
        small: list[QueuedPicture] = []
        others: list[QueuedPicture] = []
        for entry, first in doubtful:
            request, index = entry.request, entry.index
            data = request.data(index)
            if data is None:
                continue
            if not isinstance(data, bytes):
                small += self._cut_again(entry, first, data(contract), now_s)
                continue
            picture = self._second.small(data)
            if picture is None:
                others.append(
                    QueuedPicture(request, index, entry.picture, None, now_s, first=first)
                )
            else:
                width = picture.bucket_width(contract)
                small.append(QueuedPicture(request, index, picture, width, now_s, first=first))
        self._batcher.add_unexpected(small)
        if others:
            self._waiting.call(self._decode_apart, others)

    def _cut_again(
        self, entry: QueuedPicture, first: Result, picture: Prepared | PictureError, now_s: float
    ) -> list[QueuedPicture]:
        """A line of a page for the second bundle; one that it can't take stays as it was read."""
        if isinstance(picture, PictureError):
            self._waiting.deliver([(entry, first)])
            return []
        width = picture.pixels.shape[1]
        return [QueuedPicture(entry.request, entry.index, picture, width, now_s, first=first)]

    def _decode_apart(self, entries: Sequence[QueuedPicture]) -> None:
        """Pictures that an engine thread can't decode, or that aren't sound: a process tells."""
        for entry in entries:
            request, index = entry.request, entry.index
            data = request.data(index)
            if isinstance(data, bytes):
                with contextlib.suppress(ClosedError, WorkersLostError):  # they fail every request
                    self._decode(request, [(index, data)], entry.first)

    def _decode(
        self,
        request: ReadRequest,
        pictures: Sequence[tuple[int, bytes]],
        first: Result | None = None,
    ) -> None:
        """Send pictures, with their places, to the processes; they come back to ``_decoded``.

        ``first``: what the first bundle read, of one that the second is to read.
        """
        side = self._first if first is None else self._sides[-1]
        self._batcher.expect(len(pictures))
        for number, (index, data) in enumerate(pictures):
            try:
                decoding = side.pool.submit(Encoded(data=data))
            except (WorkersLostError, ValueError) as error:
                self._batcher.give_up(len(pictures) - number)
                raise self._as_lost(error) from error
            request.decodings.append(decoding)
            decoding.add_done_callback(partial(self._decoded, request, index, first))

    def _decoded(
        self, request: ReadRequest, index: int, first: Result | None, decoding: Decoding
    ) -> None:
        """In one of a pool's threads, or where it was cancelled."""
        error = None if decoding.cancelled() else decoding.exception()
        if decoding.cancelled() or error is not None:
            self._batcher.give_up()
            if isinstance(error, WorkersLostError):
                self._waiting.fail(error)
            return
        [picture] = decoding.result()
        width = None if isinstance(picture, PictureError) else picture.pixels.shape[1]
        weight = 1 if width is None or first else self.bundle.picture.weight(width)
        if weight > 1:
            self._waiting.call(partial(self._grow, request), weight - 1)
        self._batcher.add(
            QueuedPicture(request, index, picture, width, time.monotonic(), first=first)
        )

    def _grow(self, request: ReadRequest, extra: int) -> None:
        if not request.is_over:
            request.extra += extra
            self._places.grow(extra)

    def _as_lost(self, error: Exception) -> Exception:
        """What the pool's error means to callers."""
        if isinstance(error, WorkersLostError):
            self._waiting.fail(error)
            return error
        return ClosedError(_CLOSED)
