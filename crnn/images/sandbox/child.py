"""The parent's end of one decoding process: pipes that never block, and how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crnn.heap import kept_heap
from crnn.images.contract import PictureContract
from crnn.images.sandbox.process import OUT_OF_MEMORY_STATUS, PROGRESS, FileLimits, Orders
from crnn.images.sandbox.wire import DecodeRequest, Reply, ReplyReader, pack_requests

PIPE_BYTES = 1 << 20
"""Requested size each way: what a process answers while its parent is busy must fit."""
KEPT_HEAP_BYTES = 8 << 20
"""Freed memory to keep: enough for a word or line, not for a photograph of a page."""
STDERR_TAIL_BYTES = 2_000
_READ_BYTES = 1 << 20
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR", "LANG", "LC_ALL")


class ChildLostError(Exception):
    """The process is gone, or no longer to be trusted."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a process ended."""

    how: str
    """Signal or status, in words."""
    said: str
    """The tail of its standard error."""
    by_itself: bool
    """It had finished its files, and made room for a fresh process."""

    def __str__(self) -> str:
        return f"{self.how}; it said: {self.said}" if self.said else self.how


class Child:
    """A running decoding process. Use it from one thread, that outlives it.

    On Linux the process ends with the thread that started it.
    """

    def __init__(self, contract: PictureContract, limits: FileLimits) -> None:
        progress_fd = _shared_memory_fd()
        try:
            self._progress = mmap.mmap(progress_fd, PROGRESS.size)
            orders = Orders(
                contract=contract,
                limits=limits,
                parent_pid=os.getpid(),
                progress_fd=progress_fd,
            )
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "crnn.images.sandbox.process", orders.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(progress_fd,),
                env=_environment(),
                process_group=0,
            )
        finally:
            os.close(progress_fd)
        self._stdin_fd, self._stdout_fd, self._stderr_fd = self._prepare_pipes()
        self._poll = select.poll()
        self._poll.register(self._stdout_fd, select.POLLIN)
        self._poll.register(self._stderr_fd, select.POLLIN)
        self._outbox = memoryview(b"")
        self._replies = ReplyReader(contract, limits.max_pixels)
        self._inbox = memoryview(bytearray(_READ_BYTES))
        self._stderr_tail = b""
        self._heard_at = time.monotonic()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, requests: Sequence[DecodeRequest], *, idle: bool) -> None:
        """Queue files for the process, which has nothing else to do if ``idle``."""
        self._outbox = memoryview(bytes(self._outbox) + pack_requests(requests))
        self._poll.register(self._stdin_fd, select.POLLOUT)
        if idle:
            self._heard_at = time.monotonic()

    def exchange(self, wait_s: float) -> list[Reply]:
        """Send what is queued, wait until something happens, at most so long; what was answered.

        Raises:
            ChildLostError: when the process has ended, or what it sent makes no sense.
        """
        for fd, _ in self._poll.poll(max(0, wait_s) * 1000):
            if fd == self._stdin_fd:
                self._write()
            elif fd == self._stderr_fd:
                self._read_stderr()
            else:
                return self._read()
        return []

    def quiet_s(self) -> float:
        """Seconds since the process answered, was given something to do, or took up a file."""
        _, since = PROGRESS.unpack_from(self._progress, 0)
        return time.monotonic() - max(self._heard_at, since)

    def excuse(self) -> None:
        """It couldn't answer until now, as nobody took its answers."""
        self._heard_at = time.monotonic()

    def taken_up(self) -> int | None:
        """How many files it had taken up when it took the one in hand; None between files."""
        count, since = PROGRESS.unpack_from(self._progress, 0)
        return count if since else None

    def end(self) -> Ending:
        """Kill the process if it lives, and release everything; how it ended."""
        self.kill()
        status = self._process.wait()
        self._read_stderr()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        said = self._stderr_tail.decode("utf-8", "replace").strip()
        return Ending(how=_in_words(status), said=said, by_itself=status == 0)

    def kill(self) -> None:
        """End the process; the thread that uses it gets ChildLostError. From any thread."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _prepare_pipes(self) -> tuple[int, int, int]:
        fds = []
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            fds.append(pipe.fileno())
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            for fd in fds[:2]:
                with contextlib.suppress(OSError):  # the user's pipes may hold no more
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return fds[0], fds[1], fds[2]

    def _write(self) -> None:
        try:
            self._outbox = self._outbox[os.write(self._stdin_fd, self._outbox) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the end of its answers tells the rest
            self._outbox = memoryview(b"")
        if not self._outbox:
            self._poll.unregister(self._stdin_fd)

    def _read(self) -> list[Reply]:
        try:
            received = self._inbox[: os.readv(self._stdout_fd, [self._inbox])]
        except BlockingIOError:
            return []
        if not received:
            raise ChildLostError("it closed its end")
        self._heard_at = time.monotonic()
        try:
            return self._replies.feed(received)
        except ValueError as error:
            raise ChildLostError(f"it answered nonsense: {error}") from error

    def _read_stderr(self) -> None:
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._stderr_fd, _READ_BYTES)
            if not said:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(self._stderr_fd)
            self._stderr_tail = (self._stderr_tail + said)[-STDERR_TAIL_BYTES:]


def _shared_memory_fd() -> int:
    """An open file of ``PROGRESS.size`` zero bytes, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("picture-progress")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, PROGRESS.size)
    return fd


def _environment() -> dict[str, str]:
    """Where modules are found, and no secret: pictures may take the process over."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    root = str(Path(__file__).resolve().parents[3])
    paths = [entry or str(Path.cwd()) for entry in sys.path]
    return kept | {
        "PYTHONPATH": os.pathsep.join(paths if root in paths else [*paths, root]),
        **kept_heap(KEPT_HEAP_BYTES),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _in_words(status: int) -> str:
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    if status == OUT_OF_MEMORY_STATUS:
        return "out of memory"
    return f"ended with status {status}"
