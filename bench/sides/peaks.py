"""The most memory that a job and all that it starts hold at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.sides.turns import descendants

DISTINCT = 4096
"""Pictures that are rendered; the others are links to them."""
_ROOT = Path(__file__).resolve().parents[2]
_LOOK_S = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")


def job_peaks(job: str, arguments: Sequence[str]) -> tuple[float, float, str]:
    """Peak MiB of the driver and of all processes of ``jobs/<job>``, and what it said."""
    driver = everything = 0
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, str(_ROOT / "jobs" / job), *arguments]
        with subprocess.Popen(command, stdout=log) as process:
            while process.poll() is None:
                driver = max(driver, _own_bytes(process.pid))
                everything = max(everything, sum(map(_own_bytes, descendants(process.pid))))
                time.sleep(_LOOK_S)
        log.seek(0)
        said = log.read()
    assert process.returncode == 0, said
    return driver / 2**20, everything / 2**20, said


def _own_bytes(pid: int) -> int:
    """Memory that the process shares with no file or other process; 0 when it is gone."""
    try:
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (resident - shared) * _PAGE
