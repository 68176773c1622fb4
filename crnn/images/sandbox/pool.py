"""Pictures decoded in separate processes: what kills a decoder doesn't affect other pictures.

    with PicturePool(bundle.picture, processes=2) as pool:
        for prepared in pool.prepare(Encoded(data=data) for data in files):
            …  # one Prepared or PictureError for each region of the file

A file whose decoding dies, hangs or runs out of memory takes its process with it. The other files
of that process go to another one; the file itself is tried once more, alone in a fresh process, as
it may not have been the cause. Pixels are the same as those of ``crnn.images.prepare``.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from crnn.errors import PictureError
from crnn.images.contract import MAX_PIXELS, PictureContract, Pixels
from crnn.images.prepare import Prepared, small_picture
from crnn.images.region import Region
from crnn.images.sandbox.handler import Handler
from crnn.images.sandbox.process import FileLimits
from crnn.images.sandbox.wire import Answer, Cut, Part
from crnn.images.sandbox.work import PoolWork, Task
from crnn.pages.page import PageImage, PageRequest

IN_FLIGHT_BYTES = 64 << 20
"""For each process: encoded files and prepared pixels between the source and the consumer."""
IN_FLIGHT_FILES = 4_096
"""For each process: files between the source and the consumer."""
_WHOLE = (None,)
Decoded = Prepared | Pixels | PictureError


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A file's bytes, and what to read in it."""

    data: bytes | PictureError
    """An error passes through to its results, one for each region."""
    regions: tuple[Region | None, ...] = _WHOLE
    """None is the whole picture. The file is decoded once."""
    cut: bool = False
    """Whether ``decode`` gives the regions' pixels as they are, rather than prepared."""

    def __post_init__(self) -> None:
        for region in self.regions:
            if region is not None and len(region) != 8:
                raise ValueError(f"a region has 8 numbers, x0,y0 … x3,y3; not {region}")

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is asked of a process."""
        return tuple(map(Cut, self.regions)) if self.cut else self.regions


class PicturePool:
    """Processes that decode ahead of the consumer. A context manager; or call ``close``.

    The processes start with the first file for them, in the background. They don't outlive the
    pool, nor its process.
    """

    def __init__(
        self,
        contract: PictureContract,
        *,
        processes: int = 1,
        memory_bytes: int = 2 << 30,
        timeout_s: float = 30.0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Say what the processes are to be.

        Args:
            contract: how pictures become pixels.
            processes: how many decode at a time.
            memory_bytes: that decoding a file may take, per process (address space, on Linux).
            timeout_s: that decoding a file, or preparing one of its regions, may take.
            max_pixels: of a picture; one with more is refused by its header, ``too_large``.
        """
        if processes < 1:
            raise ValueError(f"processes is {processes}; expected at least 1")
        if memory_bytes < 1:
            raise ValueError(f"memory_bytes is {memory_bytes}; expected at least 1")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s is {timeout_s}; expected more than 0")
        if max_pixels < 1:
            raise ValueError(f"max_pixels is {max_pixels}; expected at least 1")
        self._contract = contract
        self._picture_bytes = contract.height * contract.widths[-1] * contract.channels
        self._processes = processes
        self._work = work = PoolWork(processes)
        limits = FileLimits(memory_bytes=memory_bytes, max_pixels=max_pixels, timeout_s=timeout_s)
        self._threads = [
            threading.Thread(
                target=Handler(work, contract, limits).run,
                name=f"picture-pool-{number}",
                daemon=True,
            )
            for number in range(processes)
        ]
        self._starting = threading.Lock()
        self._has_started = False
        self._end = weakref.finalize(self, work.close)  # collected or at exit; doesn't wait

    def __enter__(self) -> PicturePool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, even busy ones. A running ``prepare`` raises ValueError."""
        self._end()
        with self._starting:
            self._has_started = True
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()

    def start(self) -> None:
        """Start the processes now, without a file for them."""
        with self._starting:
            if not self._has_started:
                self._has_started = True
                for thread in self._threads:
                    thread.start()

    def process_ids(self) -> list[int]:
        """Ids of the running processes."""
        return self._work.process_ids()

    def prepare(
        self, files: Iterable[Encoded], *, small_here: bool = False
    ) -> Iterator[list[Prepared | PictureError]]:
        """One list per file, in order, with one entry per region.

        With ``small_here`` small plain pictures (``crnn.images.plain``) that are wanted whole are
        decoded in the caller's thread, which is cheaper: none of them takes long or much memory.
        The remaining risk is an error in its decoder that ends the caller's process.

        ``files`` is iterated in the caller's thread while results are asked for, and never
        further ahead than ``IN_FLIGHT_BYTES`` and ``IN_FLIGHT_FILES`` allow. The processes go on
        while the caller does something else. Errors of a file: those of ``crnn.images.prepare``,
        and ``decoder_died`` or ``decoder_timeout`` when decoding it failed twice.

        Raises:
            WorkersLostError: when processes can't be started.
            ValueError: when the pool is closed.
        """
        return cast(
            "Iterator[list[Prepared | PictureError]]", self.decode(files, small_here=small_here)
        )

    def decode(
        self, files: Iterable[Encoded], *, small_here: bool = False
    ) -> Iterator[list[Decoded]]:
        """As ``prepare``, of some files perhaps the pixels as they are (``Encoded.cut``).

        These are those of ``crnn.images.contract.decode_pixels`` and ``crnn.images.region.cut``.
        Processes pause while many bytes of them wait to be taken.
        """
        source, window = iter(files), _Window(self._picture_bytes, self._processes)
        try:
            while True:
                if small_here and not window.tasks:
                    yield from self._small_ones(source, window)
                self._top_up(source, window, small_here)
                if not window.tasks:
                    return
                self._work.wait_for(window.tasks[0])
                if window.tasks[0].is_cut:
                    self._work.let_go([window.tasks[0]])
                yield window.take_first()
        finally:
            self._work.let_go(window.tasks)

    def submit(self, encoded: Encoded) -> Future[list[Prepared | PictureError]]:
        """One file's entries, as those of ``prepare``, when they are there; never waits.

        From any thread; files are done in about the order in which they come. How many are on
        their way is for the caller to bound. A future that is cancelled before a process took its
        file up costs nothing more. The future's callbacks run in the pool's threads and must be
        short; it raises what ``prepare`` does, a pool closed meanwhile included.
        """
        promise = self._promised(Task(encoded.data, encoded.parts, 0))
        return cast("Future[list[Prepared | PictureError]]", promise)

    def open_page(
        self, data: bytes | PictureError, request: PageRequest
    ) -> Future[list[PageImage | PictureError]]:
        """One page of a file (``crnn.pages.opening``), as ``submit``: a list with one entry."""
        promise = self._promised(Task(data, (request,), 0))
        return cast("Future[list[PageImage | PictureError]]", promise)

    def _promised(self, task: Task) -> Future[list[Answer]]:
        promise = task.promise = Future()
        promise.add_done_callback(task.heed)
        if task.is_done():
            task.keep_promise()
        else:
            self._submit(task)
        return promise

    def _top_up(self, source: Iterator[Encoded], window: _Window, small_here: bool) -> None:
        """Pull until the first result is there or there is room no more, and some files at least.

        Two for one that is taken while processes work: the window fills without keeping a slow
        source's first results.
        """
        pulled = 0
        while window.has_room() and (
            pulled < (2 if window.num_sent else 1) or not window.tasks[0].is_done()
        ):
            encoded = next(source, None)
            if encoded is None:
                window.is_last = True
                return
            self._put(encoded, window, self._prepared_here(encoded) if small_here else None)
            pulled += 1

    def _small_ones(self, source: Iterator[Encoded], window: _Window) -> Iterator[list[Decoded]]:
        """Results as long as they come from here; what doesn't is in the empty window then."""
        for encoded in source:
            prepared = self._prepared_here(encoded)
            if prepared is None:
                self._put(encoded, window, None)
                return
            yield [prepared]

    def _prepared_here(self, encoded: Encoded) -> Prepared | Pixels | None:
        """Decodes a small plain picture in this process, if all of it is wanted."""
        if encoded.regions != _WHOLE or isinstance(encoded.data, PictureError):
            return None
        small = small_picture(encoded.data)
        if small is None:
            return None
        return small.pixels() if encoded.cut else small.prepare(self._contract)

    def _put(self, encoded: Encoded, window: _Window, prepared: Prepared | Pixels | None) -> None:
        """Into the window, and to a process unless there is a result already."""
        task = window.add(encoded)
        if prepared is not None:
            task.settle(prepared)
        if not task.is_done():
            window.send(task)
            self._submit(task)

    def _submit(self, task: Task) -> None:
        if not self._has_started:
            self.start()
        self._work.submit(task)


class _Window:
    """The files of one ``prepare`` call between its source and its consumer."""

    def __init__(self, picture_bytes: int, processes: int) -> None:
        self._picture_bytes = picture_bytes
        self._max_bytes = IN_FLIGHT_BYTES * processes
        self._max_files = IN_FLIGHT_FILES * processes
        self._held_bytes = 0
        self._sent: set[Task] = set()
        self.tasks: deque[Task] = deque()
        self.is_last = False

    def has_room(self) -> bool:
        return (
            not self.is_last
            and len(self.tasks) < self._max_files
            and self._held_bytes < self._max_bytes
        )

    def add(self, encoded: Encoded) -> Task:
        result_bytes = 0 if encoded.cut else len(encoded.regions) * self._picture_bytes
        task = Task(encoded.data, encoded.parts, result_bytes)
        self._held_bytes += task.held_bytes
        self.tasks.append(task)
        return task

    def send(self, task: Task) -> None:
        """It goes to a process."""
        self._sent.add(task)

    @property
    def num_sent(self) -> int:
        """Files that went to processes and weren't taken yet."""
        return len(self._sent)

    def take_first(self) -> list[Decoded]:
        task = self.tasks.popleft()
        self._sent.discard(task)
        self._held_bytes -= task.held_bytes
        return cast("list[Decoded]", task.results)
