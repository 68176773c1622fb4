"""Moments at which a test kills a process, with a signal that can't be caught.

``$CRNN_KILL_POINTS`` names a folder. A file in it that is called ``before PATTERN`` or ``after
PATTERN`` ends the first process that is about to write, or has just written, a file whose name fits
(``before part-*.json``). It is taken away first: what comes in the dead process's place goes on.
Without the variable, as everywhere but in tests, nothing happens.
"""

from __future__ import annotations

import os
import signal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

VARIABLE = "CRNN_KILL_POINTS"


def reached(moment: Literal["before", "after"], name: str) -> None:
    """The process is at this moment of writing the file ``name``; it may not return."""
    folder = os.environ.get(VARIABLE)
    for point in Path(folder).glob(f"{moment} *") if folder else ():
        if fnmatchcase(name, point.name.removeprefix(f"{moment} ")) and _take(point):
            os.kill(os.getpid(), signal.SIGKILL)


def _take(point: Path) -> bool:
    """Whether this process is the one that it is meant for."""
    try:
        point.unlink()
    except FileNotFoundError:
        return False
    return True
