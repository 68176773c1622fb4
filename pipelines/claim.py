"""Whose an output folder is: one job's at a time, and of one recipe.

The folder itself is locked (``flock``), so nothing lies in it for that, and a job that is killed
leaves no lock behind. Object stores, and network file systems without locks, tell nothing: there
recipes and plans are written only where there are none (``stores.write_new``), so that a job with
other settings or inputs is refused, and what was written a moment ago isn't cleared away
(``refuse_lively``). Where even an equal job would do harm, a file that changes says that one is at
work (``alone_at_work``).

A job lays its recipe down where its readers look for it. An evaluation and the pages of reports
have none: another one in their folder takes their place (``owned.begin_page``). A run of training
has its settings as YAML for people to read, of which some may change when it is resumed.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crnn.brief import brief, change
from crnn.errors import DataError
from crnn.files import storage
from pipelines.stores import write_new

QUIET_S = 120.0
"""Silence, s, after which no job is assumed to be at work in a folder of an object store."""

SIGN_NAME = "at_work.json"
"""The sign of life of a job that is at work in a folder of an object store."""
BEAT_S = 5.0
"""Between two changes of it, s."""
_MISSED_BEATS = 6
"""So many without a change, and the job is taken to have been killed."""


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
            raise _busy(uri) from None
        except OSError:  # this file system has no locks
            self.release()

    def release(self) -> None:
        """Let others have it; again, nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def _busy(uri: str) -> DataError:
    return DataError(
        f"another job is at work in {uri}; wait until it ends and run this one again, or "
        "choose another folder"
    )


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


def lay_down(address: str, recipe: Mapping[str, Any], uri: str, remedy: str) -> None:
    """Write the recipe of the folder ``uri`` where it has none; one that is there must be equal.

    Args:
        address: where the recipe lies.
        recipe: all that decides what will be in the folder.
        uri: the folder, as the user knows it.
        remedy: what else to do than to give the settings as they were.

    Raises:
        DataError: when the recipe there is another one or damaged.
    """
    text = json.dumps(recipe, ensure_ascii=False, indent=1).encode()
    while not write_new(address, text):
        there = recipe_at(address)
        if there is None:  # deleted meanwhile
            continue
        if differing := differences(there, recipe):
            raise DataError(other_settings(uri, differing, remedy))
        return


def recipe_at(address: str) -> dict[str, Any] | None:
    """The recipe there, if any; DataError when it is damaged."""
    try:
        recipe = json.loads(storage.read_bytes(address))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{address} is damaged ({brief(error)}); delete its folder") from error
    if not isinstance(recipe, dict):
        raise DataError(f"{address} holds {brief(recipe)}, no recipe; delete its folder")
    return recipe


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], found_later: Collection[str] = ()
) -> list[str]:
    """``key: there → here`` for what differs; a key that one of them lacks counts as None.

    ``found_later`` are keys that aren't known before the work, and so aren't compared.
    """
    return [
        f"{key}: {' → '.join(change(there.get(key), here.get(key)))}"
        for key in {**there, **here}
        if key not in found_later and there.get(key) != here.get(key)
    ]


def other_settings(uri: str, differing: Sequence[str], remedy: str) -> str:
    """The message for a folder whose recipe is another one."""
    return (
        f"{uri} was made with other settings: {'; '.join(differing)}; give them as they were, "
        f"or {remedy}"
    )


@contextmanager
def at_work(uri: str) -> Iterator[None]:
    """The folder is this job's meanwhile; DataError as ``Hold``.

    Left empty, it goes, and so do those above it that weren't there before.
    """
    folder = Path(storage.local_path(uri)) if storage.is_local(uri) else None
    new = [path for path in (folder.parents if folder else ()) if not os.path.lexists(path)]
    hold = Hold(uri)
    try:
        yield
    finally:
        if folder:
            with suppress(OSError):
                for path in (folder, *new):
                    path.rmdir()
        hold.release()


@contextmanager
def alone_at_work(uri: str) -> Iterator[None]:
    """As ``at_work``, and on an object store too: there a file in the folder changes meanwhile.

    After a job that was killed, its file is watched for half a minute first.

    Raises:
        DataError: when another job is at work there.
    """
    if storage.is_local(uri):
        with at_work(uri):
            yield
        return
    sign = _Sign(uri)
    try:
        yield
    finally:
        sign.end()


class _Sign:
    """The file of one job, written again at each beat by a thread."""

    def __init__(self, folder: str) -> None:
        self._uri, self._name, self._beats = storage.join(folder, SIGN_NAME), uuid.uuid4().hex, 0
        self._ended = threading.Event()
        while not write_new(self._uri, self._text()):
            _await_silence(folder, self._uri)
        self._thread = threading.Thread(target=self._beat, name="sign of life", daemon=True)
        self._thread.start()

    def _text(self) -> bytes:
        self._beats += 1
        return json.dumps({"job": self._name, "beat": self._beats}).encode()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with suppress(DataError):  # the store can't be reached: the job itself will tell
                storage.write_bytes(self._uri, self._text())

    def end(self) -> None:
        """Nobody is at work here any more."""
        self._ended.set()
        self._thread.join(BEAT_S)
        with suppress(DataError):
            storage.delete(self._uri)


def _await_silence(folder: str, uri: str) -> None:
    """Until the file of another job is gone: it ended, or was silent for long; DataError if it is
    alive."""
    there = _text_at(uri)
    if there is None:
        return
    print(
        f"{folder}: a job that began there hasn't said that it ended; looking for "
        f"{_MISSED_BEATS * BEAT_S:.0f} s whether it is still at work",
        flush=True,
    )
    for _ in range(_MISSED_BEATS):
        time.sleep(BEAT_S)
        now = _text_at(uri)
        if now is None:
            return
        if now != there:
            raise _busy(folder)
    storage.delete(uri)


def _text_at(uri: str) -> bytes | None:
    try:
        return storage.read_bytes(uri)
    except FileNotFoundError:
        return None
