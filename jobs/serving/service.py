"""The bundle in use, and how another one takes its place. Knows neither HTTP nor Ray.

A new bundle is loaded and warmed up beside the old one, which goes on answering; then it takes
all new pictures, and the old one ends when it has answered what it took in.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crnn import wire
from crnn.bundle.bundle import load_bundle
from crnn.decode import Decoder
from crnn.decode.lexicon import LexiconDecoder
from crnn.errors import (
    CharsetError,
    ClosedError,
    CrnnError,
    DataError,
    DeadlineError,
    PictureError,
    QueueFullError,
)
from crnn.inference.doubt import checked_digest
from crnn.kept import Kept
from crnn.online import OnlineRecognizer
from crnn.online.pages import Document
from crnn.result import Result
from jobs.serving.bodies import Held
from jobs.serving.limits import MIB
from jobs.serving.metrics import (
    HELD,
    MODEL,
    PAGES_WAITING,
    ROLLS,
    WAITING,
    Labels,
    Metric,
    MetricTally,
)
from jobs.serving.pages.work import PageWork
from jobs.serving.problems import RETRY_AFTER_S, ProblemError
from jobs.serving.settings import ServeSettings
from jobs.serving.shipped import second

log = logging.getLogger(__name__)
LEXICONS_BYTES = 64 << 20
"""Memory, about, of the lexicons kept ready, the last used."""
_BYTES_A_LETTER, _BYTES_A_WORD = 10, 200
"""Measured size of a prepared lexicon: words and their class ids."""


@dataclass(frozen=True, kw_only=True)
class Roll:
    """The last time that a bundle was to be taken into use."""

    state: str
    """``loading``, ``in_use`` or ``refused``."""
    bundle: str
    at: str
    """UTC, ISO 8601."""
    detail: str = ""
    """Why it was refused."""


class Service:
    """Reads with the bundle in use, within the limits. Belongs to one event loop."""

    def __init__(self, settings: ServeSettings, tally: MetricTally) -> None:
        self.settings, self.limits, self.tally = settings, settings.limits, tally
        self.held = Held(settings.limits.held_mb * MIB)
        self.pages = PageWork(settings.detector, settings.pages, tally)
        self.last_roll: Roll | None = None
        self.is_draining = False
        self._online: OnlineRecognizer | None = None
        self._uri = ""
        self._lexicons = Kept[tuple[str, bytes], Decoder](LEXICONS_BYTES)
        self._rolling = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def online(self) -> OnlineRecognizer:
        """What reads; raises ProblemError while there is nothing."""
        if self._online is None:
            raise ProblemError(
                "unavailable", "no bundle is loaded yet", retry_after_s=RETRY_AFTER_S
            )
        return self._online

    @property
    def in_use(self) -> tuple[str, str]:
        """Address of the bundle, and the digest of what reads."""
        return self._uri, self.online.digest

    @property
    def is_ready(self) -> bool:
        """Whether it is warmed up, works, and isn't about to end."""
        online = self._online
        return online is not None and online.failure is None and not self.is_draining

    def check_health(self) -> None:
        """Raises WorkersLostError once nothing can be read any more."""
        if self._online is not None and self._online.failure is not None:
            raise self._online.failure

    async def install(self, uri: str, digest: str) -> None:
        """Take the bundle at ``uri`` into use; it must have ``digest``, if that is given.

        Raises:
            CrnnError: when it is refused; the old one, if any, stays in use.
            ValueError: for settings that don't fit it.
        """
        async with self._rolling:
            self._note("loading", uri)
            try:
                online = await asyncio.to_thread(_warmed_up, uri, digest, self.settings, self.tally)
            except (CrnnError, ValueError, OSError) as error:
                self._note("refused", uri, str(error))
                raise
            old, self._online, self._uri = self._online, online, uri
            self._lexicons.clear()
            self._note("in_use", uri)
            if old is not None:
                self._end(old)

    async def read(
        self,
        pictures: Sequence[bytes | PictureError],
        options: wire.ReadingOptions,
        deadline_s: float,
    ) -> tuple[OnlineRecognizer, list[Result]]:
        """What read the pictures, and the results in their order; errors pass through.

        ``deadline_s`` is of the loop's clock.

        Raises:
            ProblemError: ``invalid``, ``overloaded``, ``timed_out``, ``unavailable``.
        """
        while True:
            online = self.online
            decoder = await self._decoder(online, options)
            try:
                return online, await _read(online, pictures, decoder, options["chars"], deadline_s)
            except ClosedError as error:
                self._check_rolled_out(online, error)

    def _check_rolled_out(self, online: OnlineRecognizer, error: ClosedError) -> None:
        """Raise ProblemError unless another recognizer has taken the place of this one."""
        if online is self._online:
            raise ProblemError("unavailable", str(error), retry_after_s=RETRY_AFTER_S) from error

    async def read_pages(
        self, files: Sequence[bytes | PictureError], options: wire.PageOptions, deadline_s: float
    ) -> tuple[OnlineRecognizer, list[Document]]:
        """As ``read``, the whole pages of files; ProblemError ``too_many_pages`` too."""
        while True:
            online = self.online
            decoder = await self._decoder(online, options)
            left_s = max(deadline_s - asyncio.get_running_loop().time(), 0.001)
            try:
                with as_problems():
                    return online, await self.pages.read(online, files, options, decoder, left_s)
            except PictureError as error:
                raise ProblemError("too_many_pages", str(error)) from error
            except DataError as error:
                raise ProblemError("not_installed", str(error)) from error
            except ClosedError as error:
                self._check_rolled_out(online, error)

    async def aclose(self) -> None:
        """Answer what was taken in, then end."""
        self.is_draining = True
        if self._online is not None:
            await self._online.aclose()
        await asyncio.gather(*self._ending)
        await self.pages.aclose()

    def gauges(self) -> list[tuple[Metric, Labels, float]]:
        """The values of now, for metrics."""
        online = self._online
        found: list[tuple[Metric, Labels, float]] = [
            (HELD, (), self.held.bytes + self.pages.held.bytes),
            (PAGES_WAITING, (), self.pages.waiting),
        ]
        if online is not None:
            found.append((WAITING, (), online.pictures))
            for bundle, engine in online.engines():
                labels = (("name", bundle.name), ("digest", bundle.digest), ("engine", engine))
                found.append((MODEL, labels, 1))
        return found

    def describe(self) -> wire.Model:
        """The model in use, as ``GET /v1/model`` gives it."""
        online = self.online
        bundle = online.bundle
        return {
            "name": online.name,
            "digest": online.digest,
            "cascade": _cascade(online),
            "engine": online.engine,
            "device": self.settings.online.device,
            "charset": bundle.charset.characters,
            "decoder": bundle.decoder,
            "picture": {
                "height": bundle.picture.height,
                "channels": bundle.picture.channels,
                "mode": bundle.picture.mode,
                "widths": list(bundle.picture.widths),
                "stretch": bundle.picture.stretch,
            },
            "data_digest": bundle.data_digest,
            "metrics": bundle.metrics,
            "limits": {
                "body_mb": self.limits.body_mb,
                "pictures": self.limits.pictures,
                "pixels": self.settings.online.max_pixels,
                "lexicon_words": self.limits.lexicon_words,
                "request_s": self.limits.request_s,
            },
            "pages": self.pages.describe(),
            "pictures_waiting": online.pictures,
            "last_roll": None if self.last_roll is None else vars(self.last_roll),
        }

    async def _decoder(
        self, online: OnlineRecognizer, options: wire.ReadingOptions
    ) -> Decoder | None:
        """The decoder asked for, None for the bundle's; lexicons used lately are ready."""
        words, name = options.get("lexicon"), options.get("decoder")
        if words is None:
            try:
                return None if name is None else online.decoder(name)
            except ValueError as error:  # one that this bundle can't have
                raise ProblemError("invalid", str(error)) from None
        content = "\n".join(words).encode("utf-8", errors="surrogatepass")
        key = online.digest, hashlib.sha256(content).digest()
        found = self._lexicons.get(key)
        if found is None:
            size = _BYTES_A_LETTER * len(content) + _BYTES_A_WORD * len(words)
            self.held.take(size)
            try:
                found = await asyncio.to_thread(_lexicon_decoder, online, words)
            finally:
                self.held.give_back(size)
            self._lexicons.keep(key, found, size)
        return found

    def _note(self, state: str, uri: str, detail: str = "") -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.last_roll = Roll(state=state, bundle=uri, at=at, detail=detail)
        if state == "refused":
            log.error("bundle %s refused: %s", uri, detail)
        elif state == "in_use":
            log.info("bundle %s in use", uri)
        if state != "loading":
            self.tally.add(ROLLS, outcome=state)

    def _end(self, online: OnlineRecognizer) -> None:
        """Let it answer what it took in, and end, without anybody waiting."""
        task = asyncio.create_task(online.aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _warmed_up(
    uri: str, digest: str, settings: ServeSettings, tally: MetricTally
) -> OnlineRecognizer:
    began_s = time.monotonic()
    bundle, then = load_bundle(uri), second(settings)
    checked_digest(bundle, then, digest, uri=uri, then_uri=settings.then)
    online = OnlineRecognizer(bundle, settings.online, tally, then)
    try:
        online.warm_up()
    except BaseException:
        online.close()
        raise
    log.info("bundle %s warmed up in %.1f s", uri, time.monotonic() - began_s)
    return online


async def _read(
    online: OnlineRecognizer,
    pictures: Sequence[bytes | PictureError],
    decoder: Decoder | None,
    chars: bool,
    deadline_s: float,
) -> list[Result]:
    readable = [picture for picture in pictures if isinstance(picture, bytes)]
    left_s = deadline_s - asyncio.get_running_loop().time()
    with as_problems():
        results = await online.read(
            readable, decoder=decoder, chars=chars, timeout_s=max(left_s, 0.001)
        )
    if len(readable) == len(pictures):
        return results
    left, digest = iter(results), online.bundle.digest
    return [
        next(left) if isinstance(picture, bytes) else Result.failed(picture, digest)
        for picture in pictures
    ]


@contextlib.contextmanager
def as_problems() -> Iterator[None]:
    """What a full queue and a lack of time are to a caller."""
    try:
        yield
    except QueueFullError as error:
        raise ProblemError("overloaded", str(error), retry_after_s=error.retry_after_s) from error
    except DeadlineError as error:
        raise ProblemError("timed_out", str(error), retry_after_s=RETRY_AFTER_S) from error


def _cascade(online: OnlineRecognizer) -> dict[str, Any] | None:
    """The two bundles, as ``GET /v1/model`` gives them; None where one reads alone."""
    if online.then is None:
        return None
    bundles = [
        {"name": bundle.name, "digest": bundle.digest, "engine": engine}
        for bundle, engine in online.engines()
    ]
    return {"bundles": bundles, "below": online.then.below, "surer": online.then.surer}


def _lexicon_decoder(online: OnlineRecognizer, words: Sequence[str]) -> Decoder:
    """Made wholly here: an engine that had to finish it would keep others' pictures waiting."""
    decoder = online.decoder("lexicon", lexicon=words)
    assert isinstance(decoder, LexiconDecoder)
    try:
        for bundle, _ in online.engines():
            decoder.ready_for(bundle.charset)
    except CharsetError as error:
        raise ProblemError("invalid", str(error)) from None
    return decoder
