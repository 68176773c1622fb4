"""One job at a time in an output folder, where its file system can tell: a second one is refused.

The folder itself is locked (``flock``), so nothing lies in it for that, and a job that is killed
leaves no lock behind. Object stores, and network file systems without locks, tell nothing: there
recipes and plans are written only where there are none (``stores.write_new``), so that a job with
other settings or inputs is refused, and what was written a moment ago isn't cleared away
(``refuse_lively``); else a job finds out when what it relies on is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crnn import storage
from crnn.errors import DataError

QUIET_S = 120.0
"""Silence, s, after which nobody is taken to be at work in a folder of an object store."""


class Hold:
    """An output folder that is this job's until it is released, or the process ends."""

    def __init__(self, uri: str) -> None:
        """Take the folder, made first if there is none.

        Raises:
            DataError: when another job is at work there, or it can't be made.
        """
        self._fd = -1
        if not storage.is_local(uri):
            return
        path = Path(storage.local_path(uri))
        storage.attempt("make", uri, lambda: path.mkdir(parents=True, exist_ok=True))
        self._fd = storage.attempt("open", uri, lambda: os.open(path, os.O_RDONLY))
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise DataError(
                f"another job is at work in {uri}; wait until it ends and run this one again, or "
                "choose another folder"
            ) from None
        except OSError:  # this file system has no locks
            self.release()

    def release(self) -> None:
        """Let others have it; again, nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.release()


def refuse_lively(uri: str) -> None:
    """DataError where below a folder of an object store a file was written within ``QUIET_S``.

    For unfinished work that is to be cleared away: another job may still write there.
    """
    if storage.is_local(uri) or not storage.exists(uri):
        return
    found = storage.list_files(uri, recursive=True)
    newest = max(found, key=lambda info: info.mtime, default=None)
    silent_s = time.time() - newest.mtime if newest else QUIET_S
    if newest and silent_s < QUIET_S:
        raise DataError(
            f"{uri} is unfinished, and {newest.uri} was written {max(silent_s, 0):.0f} s ago: "
            "another job may be at work there; run this one again once nothing has been written "
            f"for {QUIET_S:.0f} s, or choose another folder"
        )


@contextmanager
def at_work(uri: str) -> Iterator[None]:
    """The folder is this job's meanwhile; DataError as ``Hold``.

    Left empty, it goes, and so do those above it that weren't there before.
    """
    folder = Path(storage.local_path(uri)) if storage.is_local(uri) else None
    new = [path for path in (folder.parents if folder else ()) if not path.exists()]
    hold = Hold(uri)
    try:
        yield
    finally:
        if folder:
            with suppress(OSError):
                for path in (folder, *new):
                    path.rmdir()
        hold.release()
