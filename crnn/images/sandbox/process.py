"""A process that decodes what may be hostile; ``crnn.images.sandbox.pool`` starts it and feeds it.

    python -m crnn.images.sandbox.process '{"contract": {…}, "limits": {…}, …}'

It imports neither torch nor the storage, reads requests from its standard input and answers in
their order (``crnn.images.sandbox.wire``). Before each file it notes in shared memory which one it
takes up and when, so that its parent knows what killed it. It lives as long as its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import cv2

from crnn.errors import PictureError
from crnn.images.contract import PictureContract, Pixels, decode_picture, decode_pixels
from crnn.images.prepare import check_pixels, prepare_upright
from crnn.images.region import Region, cut
from crnn.images.sandbox.wire import (
    Cut,
    DecodeRequest,
    pack_failed,
    pack_page,
    pack_pixels,
    pack_prepared,
    pack_ready,
    read_requests,
)
from crnn.pages.opening import open_page
from crnn.pages.page import PageRequest

PROGRESS = struct.Struct("<Qd")
"""Files taken up so far, and when the last one was (``time.monotonic``); 0.0 between files."""
OUT_OF_MEMORY_STATUS = 77
"""Exit status when memory ran out in a process that wasn't fresh: another may have used it."""

GROWN_SHARE = 0.25
"""Share of the memory limit: a process that holds more after its files is replaced."""
_FLUSH_BYTES = 1 << 18
_FLUSH_PIECES = 256
"""In one gathered write: Linux and macOS take 1,024 (IOV_MAX)."""
_FLUSH_S = 0.05
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_NO_MEMORY_CODE = -4  # cv2.Error.StsNoMem

Packed = tuple[bytes, memoryview]
"""A reply on its way: what comes first, and pixels."""


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """What one file may take."""

    memory_bytes: int
    """Address space allowed beyond what the process has after its imports."""
    max_pixels: int
    """Limit on the picture's pixels, by its header."""
    timeout_s: float
    """For decoding it, or preparing one of its regions; the parent looks after this one."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a process is told when it starts."""

    contract: PictureContract
    limits: FileLimits
    parent_pid: int
    progress_fd: int

    def to_json(self) -> str:
        """The process's argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        contract = fields.pop("contract")
        contract["widths"] = tuple(contract["widths"])
        limits = FileLimits(**fields.pop("limits"))
        return cls(contract=PictureContract(**contract), limits=limits, **fields)


class Answerer:
    """Requests in, replies out: what runs in the process."""

    def __init__(self, orders: Orders, requests: BinaryIO, replies_fd: int) -> None:
        self._orders, self._requests, self._replies_fd = orders, requests, replies_fd
        self._progress = mmap.mmap(orders.progress_fd, PROGRESS.size)
        self._taken_up = 0
        self._unsent: list[bytes | memoryview] = []
        self._unsent_bytes, self._sent_at = 0, 0.0
        self._baseline_bytes = address_space_bytes()
        if self._baseline_bytes:
            limit = self._baseline_bytes + orders.limits.memory_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def run(self) -> None:
        """Answer until the other end closes, or memory was short and a fresh process is better."""
        self._reply(pack_ready())
        self._flush()
        fit = True
        while fit and (requests := read_requests(self._requests)) is not None:
            for request in requests:
                fit = self._answer(request)
                if not fit:
                    break
            self._note(0.0)
            self._flush()
            fit = fit and not self._has_grown()

    def _answer(self, request: DecodeRequest) -> bool:
        """Reply for each part; whether there was memory enough."""
        self._taken_up += 1
        self._note(time.monotonic())
        found: dict[bool, PictureError | Pixels] = {}
        """By whether it is as the contract reads it, rather than in the file's colours."""
        enough = True
        for part in request.parts:
            if isinstance(part, PageRequest):
                answer = self._guarded(partial(self._page, request.data, part))
            else:
                by_contract = not isinstance(part, Cut)
                if by_contract not in found:
                    found[by_contract] = self._decoded(request.data, by_contract)
                answer = self._guarded(partial(self._made, found[by_contract], part))
            if isinstance(answer, PictureError):
                enough = enough and answer.reason != "out_of_memory"
                self._reply(pack_failed(answer))
            else:
                self._reply(*answer)
        return enough

    def _decoded(self, data: bytes, by_contract: bool) -> PictureError | Pixels:
        decode = self._orders.contract.decode if by_contract else decode_pixels
        try:
            return decode(data, max_pixels=self._orders.limits.max_pixels)
        except PictureError as error:
            return error
        except MemoryError:
            return self._out_of_memory()

    def _made(self, found: PictureError | Pixels, part: Region | Cut | None) -> Packed:
        if isinstance(found, PictureError):
            raise found
        if not isinstance(part, Cut):
            return pack_prepared(prepare_upright(found, self._orders.contract, region=part))
        pixels = found if part.region is None else cut(found, part.region)
        check_pixels(pixels)
        return pack_pixels(pixels)

    def _page(self, data: bytes, page: PageRequest) -> Packed:
        return pack_page(open_page(data, page, max_pixels=self._orders.limits.max_pixels))

    def _guarded(self, answer: Callable[[], Packed]) -> Packed | PictureError:
        """What ``answer`` gives, or why it can't."""
        try:
            return answer()
        except PictureError as error:
            return error if error.reason != "out_of_memory" else self._out_of_memory()
        except MemoryError:
            return self._out_of_memory()
        except cv2.error as error:
            if error.code != _NO_MEMORY_CODE:
                raise
            return self._out_of_memory()

    def _out_of_memory(self) -> PictureError:
        """The error, if this file alone used up the memory; else the process ends for a fresh one.

        Its parent then tries the file once more, as after any other death.
        """
        if self._taken_up > 1:
            self._flush()
            os._exit(OUT_OF_MEMORY_STATUS)
        return PictureError(
            "out_of_memory",
            f"decoding needs more than the {self._orders.limits.memory_bytes} bytes allowed; "
            "shrink the picture or allow more",
        )

    def _has_grown(self) -> bool:
        grown_bytes = address_space_bytes() - self._baseline_bytes
        return grown_bytes > self._orders.limits.memory_bytes * GROWN_SHARE

    def _note(self, since: float) -> None:
        PROGRESS.pack_into(self._progress, 0, self._taken_up, since)

    def _reply(self, *packed: bytes | memoryview) -> None:
        self._unsent += packed
        self._unsent_bytes += sum(map(len, packed))
        is_much = self._unsent_bytes >= _FLUSH_BYTES or len(self._unsent) >= _FLUSH_PIECES
        if is_much or time.monotonic() - self._sent_at > _FLUSH_S:
            self._flush()

    def _flush(self) -> None:
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        while unsent:
            sent = os.writev(self._replies_fd, unsent)
            whole = 0
            while whole < len(unsent) and sent >= len(unsent[whole]):
                sent -= len(unsent[whole])
                whole += 1
            unsent = unsent[whole:]
            if sent:
                unsent[0] = memoryview(unsent[0])[sent:]
        self._sent_at = time.monotonic()


def address_space_bytes() -> int:
    """Current address space of this process; 0 if the system doesn't report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except FileNotFoundError:
        return 0
    return pages * resource.getpagesize()


def live_and_die_with(parent_pid: int) -> None:
    """No Ctrl-C of the parent's terminal, no core dumps, and no life after the parent's death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_DUMPABLE, 0)  # where cores are piped to a program the limit isn't heeded
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent died before this process was ready")


def main() -> None:
    """Serve the parent until it closes the pipe."""
    orders = Orders.from_json(sys.argv[1])
    live_and_die_with(orders.parent_pid)
    replies_fd = os.dup(1)
    os.dup2(2, 1)  # what a library prints isn't a reply
    cv2.setNumThreads(1)
    with contextlib.suppress(PictureError):
        decode_picture(b"?")  # Pillow loads its plugins now, before memory is counted
    with contextlib.suppress(ImportError):  # a Pillow without AVIF
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    with contextlib.suppress(BrokenPipeError):
        Answerer(orders, sys.stdin.buffer, replies_fd).run()
    os._exit(0)  # nothing to tidy up


if __name__ == "__main__":
    main()
