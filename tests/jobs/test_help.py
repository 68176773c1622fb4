"""Flags are printed at once: a command line needs neither PyTorch nor Ray, nor does a refusal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
JOBS = sorted(
    path.stem
    for path in (PROJECT / "jobs").glob("*.py")
    if "cli.run(main)" in path.read_text(encoding="utf-8")
)
LOOK = """
import contextlib, importlib, io, sys
job = importlib.import_module("jobs." + sys.argv[1])
for flag, expected in (("--help", 0), ("--no-such-flag", 2)):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            job.main([flag])
        except SystemExit as end:
            assert end.code == expected, (flag, end.code)
print(sorted({"torch", "ray"} & sys.modules.keys()))
"""


def test_flags_are_shown_without_torch_and_ray() -> None:
    """Of each job in a process of its own, all at the same time."""
    assert {"train", "prepare", "recognize", "serve"} <= set(JOBS)
    processes = {
        job: subprocess.Popen(
            [sys.executable, "-c", LOOK, job],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for job in JOBS
    }
    for job, process in processes.items():
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "[]\n"), f"{job}: {err}"
