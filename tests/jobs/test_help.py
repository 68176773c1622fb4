"""Flags are printed at once: a command line needs neither PyTorch nor Ray, nor does a refusal.

What is imported is checked, not the time: a busy machine takes three times as long.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
JOBS = sorted(
    path.stem
    for path in (PROJECT / "jobs").glob("*.py")
    if "cli.run(main)" in path.read_text(encoding="utf-8")
)
LOOK = """
import contextlib, importlib, io, json, sys
slow = {"torch", "torchvision", "ray", "onnxruntime", "openvino", "pandas", "scipy", "fastapi"}
found = {}
for name in sys.argv[1:]:
    job = importlib.import_module("jobs." + name)
    for flag, expected in (("--help", 0), ("--no-such-flag", 2)):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            try:
                job.main([flag])
            except SystemExit as end:
                assert end.code == expected, (name, flag, end.code)
        if flag == "--help":
            text = shown.getvalue()
    found[name] = {"help": text, "heavy": sorted(slow & sys.modules.keys())}
print(json.dumps(found))
"""
EMPTY = re.compile(r"\(default: ?(''|\[\]|\(\)|None)?\)")


@pytest.fixture(scope="module")
def looks() -> dict[str, dict[str, Any]]:
    """Of each job, one after another in a process of their own: its help, and what is loaded then.

    The first that loads too much is the first that has too much.
    """
    assert {"train", "prepare", "recognize", "serve"} <= set(JOBS)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *JOBS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    assert found.keys() == set(JOBS)
    return found


def test_flags_are_shown_without_what_is_slow_to_import(looks: dict[str, dict[str, Any]]) -> None:
    for job, look in looks.items():
        assert look["heavy"] == [], job


def test_no_default_is_shown_empty_or_twice(looks: dict[str, dict[str, Any]]) -> None:
    """A flag without a value says what happens then, or that there is none."""
    assert EMPTY.search("Folder. (default: '')")
    assert EMPTY.search("Folders. (default: )")
    for job, look in looks.items():
        text = " ".join(re.sub("[│╭╮╰╯─]", " ", look["help"]).split())
        assert not EMPTY.search(text), f"{job}: {EMPTY.search(text)}"
        assert "``" not in text, job
        flags = re.split(r" (?=--[a-z])", text)
        twice = [flag for flag in flags if len(re.findall(r"[Dd]efault: ", flag)) > 1]
        assert not twice, f"{job}: {twice}"
