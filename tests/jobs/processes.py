"""Processes as /proc shows them: who descends from whom, and who still runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process; the time of its start tells it from a later one of the same number."""

    pid: int
    name: str
    started: int

    def runs(self) -> bool:
        """Whether it is still there; a zombie, which only awaits its parent, is not."""
        return look(self.pid) == self


def look(pid: int) -> Process | None:
    """The running process of this number."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, *more = rest.split()
    return None if state in "ZX" else Process(pid=pid, name=name, started=int(more[18]))


def descendants(pid: int) -> list[Process]:
    """All processes that ``pid`` started, and that those started, as of now."""
    parents = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            rest = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(rest[1])
    found, pending = [], [pid]
    while pending:
        parent = pending.pop()
        below = [child for child, its_parent in parents.items() if its_parent == parent]
        pending += below
        found += [process for child in below if (process := look(child))]
    return found


def with_argument(part: str) -> list[Process]:
    """All running processes with ``part`` in their command line, and all that they started."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if part.encode() in command and (process := look(int(folder.name))):
            found += [process, *descendants(process.pid)]
    return list(dict.fromkeys(found))


def readers(driver: int) -> list[Process]:
    """Processes that do a task of Ray Data at the moment; names end after 15 characters."""
    return [p for p in descendants(driver) if p.name.startswith(_TASKS)]


def decoders(driver: int) -> list[Process]:
    """Processes that decode pictures for the readers."""
    return [p for p in with_argument("crnn.images.sandbox.process") if p in descendants(driver)]


def everything(driver: int) -> list[Process]:
    return [*descendants(driver), *filter(None, [look(driver)])]


def only_driver(driver: int) -> list[Process]:
    return list(filter(None, [look(driver)]))


_TASKS = ("ray::ReadRange", "ray::MapBatches")
VICTIMS = {
    "driver": only_driver,
    "worker": readers,
    "decoder": decoders,
    "everything": everything,
}
"""Whom to kill, given the driver's number."""
