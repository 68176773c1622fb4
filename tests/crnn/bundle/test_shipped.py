"""The bundle that reads where none is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crnn import Recognizer
from crnn.bundle.shipped import DEFAULT_NAMES, SHIPPED_FOLDER, default_bundle
from crnn.errors import BundleError
from tests.jobs.runs import PROJECT, tiny_bundle
from tests.pipelines.evaluation_cases import rendered


def test_it_reads() -> None:
    recognizer = Recognizer.load()
    assert recognizer.bundle.name == Path(default_bundle()).name
    assert recognizer.read(rendered("2024")).text == "2024"


def test_the_first_name_that_is_there_is_taken(tmp_path: Path) -> None:
    for name in reversed(DEFAULT_NAMES):
        tiny_bundle(tmp_path / name)
        assert default_bundle(tmp_path) == str(tmp_path / name)


def test_an_unfinished_bundle_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / DEFAULT_NAMES[0]).mkdir()
    tiny_bundle(tmp_path / DEFAULT_NAMES[1])
    assert default_bundle(tmp_path) == str(tmp_path / DEFAULT_NAMES[1])


def test_without_any_the_error_names_them_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"{tmp_path} has none of mobile, strings; give"):
        default_bundle(tmp_path)


def test_it_is_found_beside_an_installed_package(tmp_path: Path) -> None:
    """As an installation lays it out, from another folder than the project's."""
    site = tmp_path / "site-packages"
    shutil.copytree(PROJECT / "crnn", site / "crnn")
    shutil.copytree(SHIPPED_FOLDER, site / "bundles")
    (tmp_path / "picture.png").write_bytes(rendered("2024"))
    program = "import crnn; print(crnn.__file__, crnn.Recognizer.load().read('picture.png').text)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.stdout.split() == [str(site / "crnn" / "__init__.py"), "2024"], done.stderr
