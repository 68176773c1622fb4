"""Reading without HTTP, beside ``bench/serve.py``: processes that wait, and read when told to."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crnn.images.contract import Pixels
from crnn.images.prepare import prepare
from crnn.inference.recognizer import Recognizer


class Side:
    """A process that reads without HTTP, in one thread, whenever it is told to."""

    def __init__(self, bundle: str, engine: str, folder: Path) -> None:
        """``folder`` has the pictures, a file each."""
        command = [sys.executable, __file__, bundle, engine, str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, what: str) -> None:
        """``one``, ``batch`` or ``read``."""
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)

    def result(self) -> float:
        """Seconds a picture."""
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def in_process(sides: list[Side], pictures: int) -> dict[str, float]:
    """Seconds a picture without HTTP: alone, and on all cores at once.

    ``one`` and ``batch``: an engine on one core, a picture at a time and in full batches;
    ``engines`` and ``readers``: engines, and ``Recognizer.read``, on all cores.
    """
    found = {}
    for what in ("one", "batch") if pictures == 1 else ("batch",):
        sides[0].start(what)
        found[what] = sides[0].result()
    for name, what in (("engines", "batch"), ("readers", "read")) if pictures > 1 else ():
        for one in sides:
            one.start(what)
        found[name] = 1 / sum(1 / one.result() for one in sides)
    return found


def main(bundle: str, engine: str, folder: str, seconds: float = 1.0) -> None:
    """The process of a ``Side``: what it is told to, line by line."""
    torch.set_num_threads(1)
    recognizer = Recognizer.load(bundle, engine=engine, threads=1)
    data = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    pixels = [prepare(one, recognizer.bundle.picture).pixels for one in data]

    def batches(*, full: bool) -> list[Pixels]:
        found = []
        for width in sorted({one.shape[1] for one in pixels}):
            members = [one for one in pixels if one.shape[1] == width]
            size = recognizer.batch_size(width) if full else 1
            found += [np.stack(members[i : i + size]) for i in range(0, len(members), size)]
        return found

    one_by_one, full = batches(full=False), batches(full=True)
    ways: dict[str, Callable[[], object]] = {
        "one": lambda: [recognizer.read_batch_pixels(batch) for batch in one_by_one],
        "batch": lambda: [recognizer.read_batch_pixels(batch) for batch in full],
        "read": lambda: recognizer.read(data),
    }
    ways["one"]()
    ways["read"]()
    for line in sys.stdin:
        began_s, done = time.perf_counter(), 0
        while time.perf_counter() - began_s < seconds:
            ways[line.strip()]()
            done += len(data)
        print((time.perf_counter() - began_s) / done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
