"""A file of an object store that must lie on this machine to be used: one copy for all processes.

A copy is kept in the system's folder for temporary files under a name made of what the store says
about the file, so a changed one is fetched anew. Each fetch deletes copies that nobody has
opened for a day.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crnn.errors import DataError
from crnn.files import storage
from pipelines.sources.ranged import open_ranged

KEPT_S = 24 * 3600.0
_COPY_BYTES = 8 << 20


def local_copy(uri: str) -> Path:
    """Where the file lies on this machine: its own place, or the copy, fetched if there is none.

    Raises:
        FileNotFoundError: when there is no such file.
        DataError: when it can't be read, or the disk has no room for it.
    """
    if storage.is_local(uri):
        return Path(storage.absolute(uri))
    system, path = storage.resolve(uri)
    info = storage.attempt("look at", uri, lambda: system.get_file_info(path))
    folder = Path(tempfile.gettempdir()) / f"crnn-fetched-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    version = f"{uri}\n{info.size}\n{info.mtime_ns}"
    copy = folder / hashlib.sha256(version.encode()).hexdigest()
    with _alone(copy.with_suffix(".lock")):
        if not copy.exists():
            _delete_old(folder)
            _fetch(uri, copy)
        os.utime(copy)
    return copy


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process of this machine at a time; the others wait."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(uri: str, copy: Path) -> None:
    part = copy.with_suffix(".part")
    try:
        with open_ranged(uri) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        part.replace(copy)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(
            f"can't copy {uri} to {copy.parent}: {error}; make room there or set TMPDIR to a "
            "folder that has it"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _delete_old(folder: Path) -> None:
    """Copies, and what was left of some, that were last used long ago; never a lock."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process deletes them too
            if path.suffix != ".lock" and time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
