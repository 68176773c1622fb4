"""Flags are printed at once: a command line needs neither PyTorch nor Ray, nor does a refusal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
JOBS = sorted(
    path.stem
    for path in (PROJECT / "jobs").glob("*.py")
    if "cli.run(main)" in path.read_text(encoding="utf-8")
)
LOOK = """
import contextlib, importlib, io, json, sys
job = importlib.import_module("jobs." + sys.argv[1])
for flag, expected in (("--help", 0), ("--no-such-flag", 2)):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            job.main([flag])
        except SystemExit as end:
            assert end.code == expected, (flag, end.code)
    if flag == "--help":
        text = shown.getvalue()
print(json.dumps({"help": text, "heavy": sorted({"torch", "ray"} & sys.modules.keys())}))
"""
EMPTY = re.compile(r"\(default: ?(''|\[\]|\(\)|None)?\)")


@pytest.fixture(scope="module")
def looks() -> dict[str, tuple[int, str, str]]:
    """Of each job, looked at in a process of its own: its status, stdout and stderr."""
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
    ended = {job: process.communicate(timeout=120) for job, process in processes.items()}
    return {job: (processes[job].returncode, *texts) for job, texts in ended.items()}


def test_flags_are_shown_without_torch_and_ray(looks: dict[str, tuple[int, str, str]]) -> None:
    for job, (status, out, error) in looks.items():
        assert status == 0, f"{job}: {error}"
        assert json.loads(out)["heavy"] == [], job


def test_no_default_is_shown_empty_or_twice(looks: dict[str, tuple[int, str, str]]) -> None:
    """A flag without a value says what happens then, or that there is none."""
    assert EMPTY.search("Folder. (default: '')")
    assert EMPTY.search("Folders. (default: )")
    for job, (_, out, _) in looks.items():
        text = " ".join(re.sub("[│╭╮╰╯─]", " ", json.loads(out)["help"]).split())
        assert not EMPTY.search(text), f"{job}: {EMPTY.search(text)}"
        assert "``" not in text, job
        flags = re.split(r" (?=--[a-z])", text)
        twice = [flag for flag in flags if len(re.findall(r"[Dd]efault: ", flag)) > 1]
        assert not twice, f"{job}: {twice}"
