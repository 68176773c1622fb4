"""The most memory that a job and all that it starts hold at a time, and the CPU that they take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.sides.turns import cpu_s, descendants

DISTINCT = 4096
"""Pictures that are rendered; the others are links to them."""
_ROOT = Path(__file__).resolve().parents[2]
_LOOK_S = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")


def job_peaks(job: str, arguments: Sequence[str]) -> tuple[float, float, str]:
    """Peak MiB of the driver and of all processes of ``jobs/<job>``, and what it said."""
    driver = everything = 0

    def look(pids: Sequence[int]) -> None:
        nonlocal driver, everything
        driver = max(driver, _own_bytes(pids[0]))
        everything = max(everything, sum(map(_own_bytes, pids)))

    said = _run(job, arguments, look)
    return driver / 2**20, everything / 2**20, said


def job_cpu_s(job: str, arguments: Sequence[str]) -> float:
    """CPU seconds of ``jobs/<job>`` and of all that it starts, as far as they were looked at."""
    last: dict[int, float] = {}

    def look(pids: Sequence[int]) -> None:
        for pid in pids:
            last[pid] = max(last.get(pid, 0.0), cpu_s(pid))

    _run(job, arguments, look)
    return sum(last.values())


def _run(job: str, arguments: Sequence[str], look: Callable[[Sequence[int]], None]) -> str:
    """What the job said; ``look`` is told twice a second which processes there are, the job's own
    first."""
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, str(_ROOT / "jobs" / job), *arguments]
        with subprocess.Popen(command, stdout=log) as process:
            while process.poll() is None:
                look(descendants(process.pid))
                time.sleep(_LOOK_S)
        log.seek(0)
        said = log.read()
    assert process.returncode == 0, said
    return said


def _own_bytes(pid: int) -> int:
    """Memory that the process shares with no file or other process; 0 when it is gone."""
    try:
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (resident - shared) * _PAGE
