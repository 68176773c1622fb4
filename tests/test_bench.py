"""Programs of ``bench/`` and ``recipes/``: each module loads, and each program it names exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT_ROOT

OURS = {"bench", "crnn", "jobs", "pipelines", "recipes", "tests"}
FILES = [
    path.relative_to(PROJECT_ROOT)
    for folder in ("bench", "recipes")
    for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))
]


def load(module: str) -> None:
    """Imports it; skips the test where a package that isn't ours is missing."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        pytest.skip(f"{module} needs {error.name}, which isn't installed")


@pytest.mark.parametrize("path", FILES, ids=Path.as_posix)
def test_every_module_loads(path: Path) -> None:
    load(".".join(path.with_suffix("").parts))


def test_a_missing_part_of_ours_is_no_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lacks_ours.py").write_text("from pipelines.nothing import x\n")
    (tmp_path / "lacks_a_name.py").write_text("from crnn.errors import nothing\n")
    (tmp_path / "lacks_a_peer.py").write_text("import no_such_peer.models\n")
    with pytest.raises(ModuleNotFoundError):
        load("lacks_ours")
    with pytest.raises(ImportError):
        load("lacks_a_name")
    with pytest.raises(pytest.skip.Exception, match="needs no_such_peer"):
        load("lacks_a_peer")


@pytest.mark.parametrize("path", FILES, ids=Path.as_posix)
def test_every_program_that_one_names_is_there(path: Path) -> None:
    text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:bench|jobs|recipes)/[\w/]+\.py\b", text))
    named |= {
        f"{name.replace('.', '/')}.py" for name in re.findall(r"\bbench\.[\w.]+(?=:\w)", text)
    }
    assert not {name for name in named if not (PROJECT_ROOT / name).is_file()}


def test_the_readme_has_every_command_once() -> None:
    text = (PROJECT_ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `python (bench/\w+\.py)", text, re.MULTILINE)
    assert sorted(named) == sorted(str(path) for path in FILES if path.parent == Path("bench"))
