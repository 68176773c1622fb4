"""The command ``crnn``: a name for every job, help on one screen, a list for a wrong name."""

from __future__ import annotations

import importlib.metadata
import json
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jobs import command
from tests.jobs.test_help import JOBS
from tests.pipelines.evaluation_cases import rendered

PROJECT = Path(__file__).resolve().parents[2]
STRINGS = str(PROJECT / "bundles" / "strings")


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Its exit status."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/crnn", *arguments])
    with pytest.raises(SystemExit) as end:
        command.main()
    return int(end.value.code or 0)


def test_every_job_has_a_command() -> None:
    assert sorted(entry.module for entry in command.COMMANDS.values()) == JOBS


def test_no_other_module_may_import_a_job() -> None:
    """As the contract of import-linter has it."""
    linter = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = linter["importlinter"]["contracts"]
    protected = {name for one in contracts for name in one.get("protected_modules", ())}
    assert protected == {f"jobs.{name}" for name in JOBS}


def test_the_installed_program_is_this_one() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pkgutil.resolve_name(project["scripts"][command.PROGRAM]) is command.main
    assert project["name"] == command.DISTRIBUTION


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_is_one_screen_with_every_command(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert named == list(command.COMMANDS)


def test_an_unknown_command_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "recognise", "a.png") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no command 'recognise' (did you mean 'recognize'?)" in shown.err
    assert all(name in shown.err for name in command.COMMANDS)


def test_the_version_is_the_distribution_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "--version") == 0
    version = importlib.metadata.version(command.DISTRIBUTION)
    assert capsys.readouterr().out == f"crnn-on-ray {version}\n"


def test_help_of_a_command_calls_it_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "inspect", "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: crnn inspect ")
    assert "crnn inspect shards/train shards/val --strict" in shown
    assert "python jobs/inspect_data.py" not in shown


def test_a_job_s_refusal_is_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "review", "no-results", "out") == 1
    assert "error: there are no results at" in capsys.readouterr().err
    assert called(monkeypatch, "evaluate", "--no-such-flag") == 2


def test_read_prints_a_line_for_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(rendered("2048"))
    (tmp_path / "b.png").write_bytes(b"not a picture")
    pattern = str(tmp_path / "*.png")
    assert called(monkeypatch, "read", "--bundle", STRINGS, "--json", pattern) == 1
    shown = capsys.readouterr()
    first, second = map(json.loads, shown.out.splitlines())
    assert (first["text"], second["error"]["code"]) == ("2048", "undecodable")
    assert "undecodable" in shown.err


def test_read_without_a_picture_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "read") == 2
    assert "no picture" in capsys.readouterr().err


def test_it_runs_where_it_is_not_installed(tmp_path: Path) -> None:
    """As ``python -m jobs``; nothing that is slow to import is imported."""
    slow = "{'torch', 'ray', 'tyro', 'numpy'}"
    look = (
        f"import atexit, sys; atexit.register(lambda: print(sorted({slow} & sys.modules.keys())))"
    )
    code = f"{look}; import runpy; runpy.run_module('jobs', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{command.usage()}\n[]\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    command_line = [sys.executable, "-m", "jobs", "--help"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command_line, cwd=PROJECT, stdout=pipe, stderr=pipe, text=True) as done:
        assert done.stdout is not None and done.stderr is not None
        done.stdout.close()
        assert done.stderr.read() == ""
    assert done.returncode == 141
