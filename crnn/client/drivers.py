"""The two clients: they send what ``calls`` asks for, the one blocking, the other not."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

import httpx

from crnn.client import calls
from crnn.client.answers import Job, ModelInfo, Page
from crnn.client.pictures import Upload, is_picture, upload, uploads
from crnn.client.retry import Call, Flow, Outcome, Pause
from crnn.client.settings import Settings
from crnn.result import Result

if TYPE_CHECKING:
    from crnn import wire
    from crnn.images.prepare import Picture

LISTED_JOBS = 50
Answer = TypeVar("Answer")


class Client(Settings):
    """The service; each call returns when it is answered.

    Threads may share one. It keeps connections: use it in a ``with``, or close it.

    Every call raises ``AccessDeniedError`` if the service wants another token,
    ``RequestRefusedError`` for what it will never accept, ``ServiceBusyError`` when it was busy or
    failing after all retries, ``ServiceUnreachableError`` when nothing answers; all of them are
    ``ServiceError``.
    """

    def _open(self) -> None:
        self._sender = httpx.Client(**self._http)

    @overload
    def read(  # type: ignore[overload-overlap]  # str and bytes are iterable too, and one picture
        self,
        pictures: Picture,
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> Result: ...
    @overload
    def read(
        self,
        pictures: Iterable[Picture],
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> list[Result]: ...
    def read(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> Result | list[Result]:
        """One picture into a ``Result``, or any iterable of them into a list in its order.

        As ``Recognizer.read``: a picture that can't be read, a missing file included, gives a
        result with ``error_code`` and ``error_message``, and its neighbours are read. Paths are
        read here; images and arrays are sent as PNG. Many pictures go in several requests.

        Raises:
            ServiceError: see the class.
            ValueError: for a lexicon that isn't a list.
            TypeError: for something that isn't a picture at all.
        """
        options = calls.options_of(decoder, lexicon, chars)
        if is_picture(pictures):
            (batch,) = uploads([cast("Picture", pictures)])
            return self._run(calls.read_flow(batch, options, self.retries))[0]
        return self._read_all(uploads(cast("Iterable[Picture]", pictures)), options)

    def read_page(
        self,
        page: Picture,
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
        dpi: int | None = None,
        detect_px: int | None = None,
    ) -> list[Page]:
        """The pages of a picture, a TIFF or a PDF, with their lines in reading order.

        A page that can't be read has ``error_code`` and ``error_message``, and the others are
        read. Paths are read here; images and arrays are sent as PNG.

        Args:
            page: as for ``read``; also a PDF.
            decoder: as for ``read``, and so ``lexicon``.
            lexicon: the words allowed.
            chars: whether to report each character's probability and place.
            dpi: dots per inch at which a PDF is drawn; by default the service's.
            detect_px: longest side, px, to which a page is shrunk to find its text; by default
                the service's.

        Raises:
            PictureError: when the file can't be opened, or has more pages than the service takes.
            ServiceError: see the class.
            ValueError: for a lexicon that isn't a list.
            TypeError: for something that isn't a picture at all.
        """
        options = calls.options_of(decoder, lexicon, chars, dpi, detect_px)
        return self._run(calls.page_flow(upload(page), options, self.retries))

    def model(self) -> ModelInfo:
        """The bundle that the service reads with."""
        return self._run(calls.model_flow(self.retries))

    def ready(self) -> bool:
        """Whether the service is there and warmed up; asked once, never raises."""
        return self._run(calls.ready_flow())

    def start_job(self, input: str, output: str, **options: Unpack[wire.JobOptions]) -> Job:
        """Begin a bulk job of the service over the addresses ``input`` and ``output``.

        ``options`` as the service's ``POST /v1/jobs`` takes them. Only one job is started, even if
        this has to be sent several times.
        """
        return self._run(calls.start_flow(input, output, options, self.retries))

    def jobs(self, *, limit: int = LISTED_JOBS, before: str | None = None) -> list[Job]:
        """The newest bulk jobs, newest first; those older than the one of the id ``before``."""
        return self._run(calls.jobs_flow(limit, before, self.retries))

    def job(self, job_id: str) -> Job:
        """A bulk job as it is now."""
        return self._run(calls.job_flow(job_id, self.retries))

    def cancel_job(self, job_id: str) -> Job:
        """Stop a bulk job; what it has read stays, and one that has ended stays as it is."""
        return self._run(calls.cancel_flow(job_id, self.retries))

    def wait(
        self, job_id: str, *, timeout_s: float | None = None, poll_s: float = calls.POLL_S
    ) -> Job:
        """A bulk job when it has ended, successfully or not; TimeoutError after ``timeout_s``."""
        return self._run(calls.wait_flow(job_id, timeout_s, poll_s, self.retries))

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read_all(
        self, batches: Iterator[list[Upload]], options: wire.ReadingOptions
    ) -> list[Result]:
        found: list[Result] = []
        window: deque[Future[list[Result]]] = deque()
        with ThreadPoolExecutor(self.parallel) as threads:
            try:
                for batch in batches:
                    if len(window) == 2 * self.parallel:
                        found += window.popleft().result()
                    flow = calls.read_flow(batch, options, self.retries)
                    window.append(threads.submit(self._run, flow))
                while window:
                    found += window.popleft().result()
            finally:
                for future in window:
                    future.cancel()
        return found

    def _run(self, flow: Flow[Answer]) -> Answer:
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return cast(Answer, done.value)
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, call: Call) -> Outcome:
        try:
            return self._sender.request(call.method, call.path, **_content(call))
        except httpx.TransportError as error:
            return error


class AsyncClient(Settings):
    """As ``Client``, in one event loop."""

    def _open(self) -> None:
        self._sender = httpx.AsyncClient(**self._http)

    @overload
    async def read(  # type: ignore[overload-overlap]
        self,
        pictures: Picture,
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> Result: ...
    @overload
    async def read(
        self,
        pictures: Iterable[Picture],
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> list[Result]: ...
    async def read(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
    ) -> Result | list[Result]:
        """As ``Client.read``; files are read and images encoded off the event loop."""
        options = calls.options_of(decoder, lexicon, chars)
        one = is_picture(pictures)
        many = [cast("Picture", pictures)] if one else cast("Iterable[Picture]", pictures)
        results = await self._read_all(uploads(many), options)
        return results[0] if one else results

    async def read_page(
        self,
        page: Picture,
        *,
        decoder: str | None = None,
        lexicon: Sequence[str] | None = None,
        chars: bool = True,
        dpi: int | None = None,
        detect_px: int | None = None,
    ) -> list[Page]:
        """As ``Client.read_page``; files are read and images encoded off the event loop."""
        options = calls.options_of(decoder, lexicon, chars, dpi, detect_px)
        file = await asyncio.to_thread(upload, page)
        return await self._run(calls.page_flow(file, options, self.retries))

    async def model(self) -> ModelInfo:
        """As ``Client.model``."""
        return await self._run(calls.model_flow(self.retries))

    async def ready(self) -> bool:
        """As ``Client.ready``."""
        return await self._run(calls.ready_flow())

    async def start_job(self, input: str, output: str, **options: Unpack[wire.JobOptions]) -> Job:
        """As ``Client.start_job``."""
        return await self._run(calls.start_flow(input, output, options, self.retries))

    async def jobs(self, *, limit: int = LISTED_JOBS, before: str | None = None) -> list[Job]:
        """As ``Client.jobs``."""
        return await self._run(calls.jobs_flow(limit, before, self.retries))

    async def job(self, job_id: str) -> Job:
        """As ``Client.job``."""
        return await self._run(calls.job_flow(job_id, self.retries))

    async def cancel_job(self, job_id: str) -> Job:
        """As ``Client.cancel_job``."""
        return await self._run(calls.cancel_flow(job_id, self.retries))

    async def wait(
        self, job_id: str, *, timeout_s: float | None = None, poll_s: float = calls.POLL_S
    ) -> Job:
        """As ``Client.wait``."""
        return await self._run(calls.wait_flow(job_id, timeout_s, poll_s, self.retries))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _read_all(
        self, batches: Iterator[list[Upload]], options: wire.ReadingOptions
    ) -> list[Result]:
        found: list[Result] = []
        window: deque[asyncio.Task[list[Result]]] = deque()
        places = asyncio.Semaphore(self.parallel)

        async def send(batch: list[Upload]) -> list[Result]:
            async with places:
                return await self._run(calls.read_flow(batch, options, self.retries))

        try:
            while batch := await asyncio.to_thread(next, batches, None):
                if len(window) == 2 * self.parallel:
                    found += await window.popleft()
                window.append(asyncio.create_task(send(batch)))
            while window:
                found += await window.popleft()
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)
        return found

    async def _run(self, flow: Flow[Answer]) -> Answer:
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return cast(Answer, done.value)
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, call: Call) -> Outcome:
        try:
            return await self._sender.request(call.method, call.path, **_content(call))
        except httpx.TransportError as error:
            return error


def _content(call: Call) -> dict[str, Any]:
    return {
        "files": call.files,
        "data": call.form,
        "json": call.json,
        "params": call.query,
        "headers": call.headers,
    }
