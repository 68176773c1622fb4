"""Two or more whole programs measured in turns on the same cores: A B C A B C …

Each side is a process with all its descendants (a Ray cluster and its workers, a DataLoader and
its workers). While one runs, every process of the others is stopped, so all meet the same
machine and whatever else it does, and none has to start again for its next turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RAY_NICENESS = int(os.environ.get("RAY_worker_niceness", "15"))  # noqa: SIM112
"""What Ray's workers run at; the plain sides are set to the same."""
_KEPT_AWAKE = {"raylet", "gcs_server"}  # they watch each other's heartbeats, and are idle anyway
_POLL_S = 0.005
_SETTLE_S = 4.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Side:
    """One program, and what it did in each of its turns."""

    name: str
    process: subprocess.Popen[bytes]
    samples: Callable[[], int]
    """Pictures so far; it moves with every batch."""
    log: Path
    """Where the program's output went."""
    rates: list[float] = field(default_factory=list)
    """Pictures a second, a turn."""
    cpu_s: list[float] = field(default_factory=list)
    """CPU seconds a picture over all its processes, a turn."""

    @property
    def images_per_s(self) -> float:
        """Median of the turns."""
        return statistics.median(self.rates)

    def row(self) -> str:
        """Its figures in one line."""
        spread = f"{min(self.rates):,.0f} to {max(self.rates):,.0f}"
        cpu_ms = statistics.median(self.cpu_s) * 1e3
        return (
            f"{self.name:<28} {self.images_per_s:8,.0f} images/s ({spread})"
            f"  {cpu_ms:6.3f} CPU ms an image"
        )

    def pause(self) -> None:
        """Stops all of its processes."""
        _signal_all(descendants(self.process.pid), signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them go on."""
        _signal_all(descendants(self.process.pid), signal.SIGCONT)

    def turn(self, seconds: float) -> None:
        """Lets it run alone for about ``seconds``, measured from batch to batch."""
        self.resume()
        time.sleep(_SETTLE_S)
        begin_s, begin, begin_cpu_s = self._next_batch()
        time.sleep(seconds)
        end_s, end, end_cpu_s = self._next_batch()
        self.pause()
        self.rates.append((end - begin) / (end_s - begin_s))
        self.cpu_s.append((end_cpu_s - begin_cpu_s) / (end - begin))

    def warm_up(self, samples: int, limit_s: float = 180) -> None:
        """Lets it start and run alone until it has done ``samples``."""
        deadline_s = time.monotonic() + limit_s
        while self.samples() < samples:
            self._check(deadline_s)
            time.sleep(0.05)
        self.pause()

    def end(self) -> None:
        """Ends all of its processes."""
        everyone = descendants(self.process.pid)
        _signal_all(everyone, signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        _signal_all(everyone, signal.SIGKILL)
        self.process.wait()

    def _next_batch(self) -> tuple[float, int, float]:
        """(time, samples, CPU seconds) at the moment when a batch is done."""
        deadline_s, before = time.monotonic() + 60, self.samples()
        while (now := self.samples()) == before:
            self._check(deadline_s)
            time.sleep(_POLL_S)
        return time.perf_counter(), now, sum(map(cpu_s, descendants(self.process.pid)))

    def _check(self, deadline_s: float) -> None:
        if self.process.poll() is None and time.monotonic() < deadline_s:
            return
        state = "stands still" if self.process.poll() is None else "has ended"
        raise RuntimeError(f"{self.name} {state}; its output:\n{self.log.read_text()[-4000:]}")


@contextlib.contextmanager
def ending(sides: Iterable[Side]) -> Iterator[None]:
    """Ends the sides, no matter what happens in the block."""
    try:
        yield
    finally:
        for side in sides:
            side.end()


def take_turns(sides: Sequence[Side], *, rounds: int, seconds: float) -> None:
    """``rounds`` turns of ``seconds`` for every side; every other round in reverse order."""
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            side.turn(seconds)


def ratio(upper: Side, lower: Side) -> float:
    """Median over the rounds of the quotient of the two rates."""
    return statistics.median(a / b for a, b in zip(upper.rates, lower.rates, strict=True))


def start(
    name: str, command: Sequence[str], log: Path, samples: Callable[[], int], **variables: str
) -> Side:
    """Starts a program as a side; its output goes to ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )
    return Side(name, process, samples, log)


class Tally:
    """Counts pictures in a file, for a reader in another process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self._total = 0

    def add(self, samples: int) -> None:
        """A batch is done."""
        self._total += samples
        self._file.seek(0)
        self._file.write(f"{self._total:020}")
        self._file.flush()


def read_tally(path: Path) -> int:
    """What a ``Tally`` has counted; 0 before it began."""
    return int(path.read_text() or 0) if path.exists() else 0


def descendants(pid: int) -> list[int]:
    """The process itself and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; 0 when it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / _TICKS if fields else 0.0


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if number == signal.SIGSTOP and _name(pid) in _KEPT_AWAKE:
                continue
            os.kill(pid, number)


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
