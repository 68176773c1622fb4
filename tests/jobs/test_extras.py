"""Reading and serving do without what the extra 'train' brings; what needs it says so."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from jobs.cli import OF_TRAINING
from tests.jobs.runs import PROJECT
from tests.pipelines.evaluation_cases import rendered
from tests.test_architecture import sources

META = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = META["optional-dependencies"]
OPTIONAL = {"mlflow", "wandb"}
"""Used where they are installed."""
PARTS = {"botocore": "boto3", "urllib3": "requests", "yarl": "aiohttp"}
"""Parts of the interface of the package that brings them."""
NOT_THERE = f"""
import sys

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(OF_TRAINING)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotThere())
"""
"""For every process, those of Ray included: as if the packages weren't installed."""


def without_them(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(NOT_THERE)
    paths = os.pathsep.join([str(folder), str(PROJECT)])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=300, check=False, cwd=folder,
    )  # fmt: skip


def test_what_is_imported_is_declared() -> None:
    """A dependency of a dependency may go with its next release."""
    declared = [*META["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    named = {re.split(r"[><=\[; ]", one)[0].lower() for one in declared}
    distributions = packages_distributions()
    ours = {"crnn", "pipelines", "jobs", "bundles"} | sys.stdlib_module_names
    others = imported() - ours - OPTIONAL - PARTS.keys()
    lacking = {m for m in others if not named & {canonical(d) for d in distributions.get(m, ())}}
    assert not lacking
    assert set(PARTS.values()) <= named


def canonical(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def imported() -> set[str]:
    """First names of what the packages import."""
    found = set()
    for node in (node for source in sources() for node in ast.walk(source.tree)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_the_modules_are_those_of_the_extra() -> None:
    named = {re.split(r"[><=\[; ]", one)[0] for one in EXTRAS["train"]}
    distributions = packages_distributions()
    found = {one for module in OF_TRAINING for one in distributions[module]}
    assert {one.lower() for one in found} == {n for n in named if not n.startswith("font-")}


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("-m jobs inspect pictures", "confusable_homoglyphs"),
        ("-m jobs synthesize out", ""),
        (f"{PROJECT}/jobs/synthesize.py out", ""),
    ],
)
def test_what_needs_them_says_what_to_install(tmp_path: Path, command: str, package: str) -> None:
    (tmp_path / "pictures").mkdir()
    done = without_them(tmp_path, *command.split())
    assert done.returncode == 1, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"error: the package {package}") and "'crnn-on-ray[train]'" in line


@pytest.mark.slow
def test_a_picture_and_a_folder_are_read_without_them(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/12.png").write_bytes(rendered("12"))
    alone = without_them(tmp_path, "-m", "jobs", "read", "pictures/12.png")
    assert alone.returncode == 0 and "12" in alone.stdout, alone.stderr
    many = without_them(
        tmp_path, "-m", "jobs", "recognize", "--input", "pictures", "--output", "results"
    )
    assert many.returncode == 0 and "results" in many.stdout, many.stderr
    page = without_them(tmp_path, "-m", "jobs", "review", "results", "review", "--below", "2")
    assert page.returncode == 0 and (tmp_path / "review/review.html").is_file(), page.stderr
