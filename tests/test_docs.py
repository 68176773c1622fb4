"""What the pages say exists: every link and file they name, every flag of every command line.

A command of ``jobs`` or ``crnn`` is parsed by that job itself, which ends before it does anything.
The flags of a script in ``bench/`` or ``recipes/`` are read from its source, since importing it
takes seconds. Python is looked through by mypy: names, arguments and attributes are those of the
code.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs import cli
from jobs.command import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
        *(ROOT / "bench").glob("*.md"),
        *(ROOT / "client").glob("*.md"),
    ]
)
MODULES = {command.module for command in COMMANDS.values()}
TOP = {path.name for path in ROOT.iterdir()}
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    \S.*$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_FILE = re.compile(r"[\w.-]+(?:/[\w.*-]+)+/?|[\w-]+\.(?:md|py|toml|lock|yaml)")
_COMMAND = r"python (?:jobs|bench|recipes)/[\w/]+\.py|(?:^|&& |; )crnn(?= [a-z])"
_END = re.compile(r"\s(?:&&|\|\||[;|&>])\s|\s(?:&&|[;|&])|[;)]\s|$")


class Line(NamedTuple):
    """A command as a page has it."""

    page: str
    text: str

    def arguments(self) -> list[str]:
        """As the job gets them: what the shell would fill in filled in, what is left out left out.

        A ``--config`` is the first file that fits it, and goes where none does (experiment.yaml).
        """
        words = [word for word in shlex.split(self.text, comments=True) if word != "…"]
        if "--config" in words:
            at = words.index("--config") + 1
            found = sorted(ROOT.glob(re.sub(r"\$\w+", "*", words[at])))
            words[at - 1 : at + 1] = ["--config", str(found[0])] if found else []
        return [re.sub(r"\$\w+", "1", word) for word in words]


class ParsedError(Exception):
    """The settings of a command line were sound; the job goes no further."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(page: str, text: str) -> Iterator[Line]:
    """Every command line of our scripts or of ``crnn``, in blocks and in spans of code."""
    blocks = [body for language, body in _BLOCK.findall(text) if language in ("", "bash", "sh")]
    rest = _BLOCK.sub("", text)
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    lines += [line.strip() for line in _INDENTED.findall(rest)] + _SPAN.findall(rest)
    for line in lines:
        for found in re.finditer(_COMMAND, line):
            begin = found.start() + (found[0].find("crnn") if "crnn" in found[0] else 0)
            tail = without_comment(line[begin:])
            yield Line(page, tail[: _END.search(tail).start()].strip())  # type: ignore[union-attr]


def without_comment(line: str) -> str:
    return re.sub(r"\s#\s.*$", "", line)


ALL = [line for page in PAGES for line in commands(name_of(page), page.read_text(encoding="utf-8"))]
OURS = [line for line in ALL if line.text.startswith(("python jobs/", "crnn "))]
SCRIPTS = [line for line in ALL if line not in OURS]


def check_ours(arguments: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """ValueError or SystemExit where the job would refuse the arguments."""
    if arguments[0] == "crnn":
        if arguments[1] not in COMMANDS:
            raise ValueError(f"there is no command {arguments[1]!r}")
        module, given = COMMANDS[arguments[1]].module, list(arguments[2:])
    else:
        module, given = Path(arguments[1]).stem, list(arguments[2:])
        if module not in MODULES:
            raise ValueError(f"there is no job {arguments[1]!r}")
    if not given:  # a job that is only named
        return
    parse = cli.parse

    def only(*a: Any, **k: Any) -> Any:
        parse(*a, **k)
        raise ParsedError

    patch.setattr(cli, "parse", only)
    patch.chdir(ROOT)
    with contextlib.suppress(ParsedError):
        importlib.import_module(f"jobs.{module}").main(given)


def bench_parser(source: str) -> argparse.ArgumentParser:
    """The flags that a script adds, as far as its text tells: names, how many values, choices."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr != "add_argument":
                continue
            known: dict[str, Any] = {}
            for keyword in node.keywords:
                if keyword.arg in ("nargs", "action", "dest", "choices", "const"):
                    with contextlib.suppress(ValueError):
                        known[keyword.arg] = ast.literal_eval(keyword.value)
            parser.add_argument(*(ast.literal_eval(name) for name in node.args), **known)
    return parser


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = _HEADING.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    plain = (re.sub(r"[`*]|\[|\]\([^)]*\)", "", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


def test_pages_have_commands_of_every_kind() -> None:
    programs = {tuple(line.arguments()[:2]) for line in ALL}
    assert {("python", "jobs/train.py"), ("python", "bench/bulk.py")} <= programs
    assert ("python", "recipes/finetune.py") in programs
    assert programs >= {("crnn", name) for name in COMMANDS}


@pytest.mark.parametrize("line", OURS, ids=lambda line: f"{line.page}: {line.text}")
def test_a_command_s_flags_are_the_job_s(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            check_ours(line.arguments(), monkeypatch)
    except SystemExit as end:
        assert not end.code, said.getvalue()


@pytest.mark.parametrize("line", SCRIPTS, ids=lambda line: f"{line.page}: {line.text}")
def test_a_script_s_flags_are_its_own(line: Line) -> None:
    _, script, *given = line.arguments()
    assert (ROOT / script).is_file()
    if not given:  # a script that is only named
        return
    if script == "bench/scale.py" and given[:1] == ["costs"]:
        return  # its flags are a job's settings, which tests/test_scale.py parses
    if script == "recipes/finetune.py":
        bench_parser((ROOT / script).read_text(encoding="utf-8")).parse_known_args(given)
        return  # passes the others on to jobs/train.py
    unknown = bench_parser((ROOT / script).read_text(encoding="utf-8")).parse_known_args(given)[1]
    assert not unknown


@pytest.mark.slow
def test_python_on_the_pages_fits_the_code(tmp_path: Path) -> None:
    written = []
    for page in PAGES:
        blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
        for number, (_, body) in enumerate(found for found in blocks if found[0] == "python"):
            name = re.sub(r"\W", "_", name_of(page).removesuffix(".md"))
            written.append(tmp_path / f"{name}_{number}.py")
            written[-1].write_text(textwrap.dedent(body), encoding="utf-8")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from crnn import Recognizer\n\nRecognizer.load().no_such_name\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-warn-unused-ignores", *map(str, [*written, wrong])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(written) >= 6
    [told, _] = done.stdout.splitlines()
    assert told.startswith(f"{wrong}:3: error"), done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong = []
    text = _SPAN.sub("", _BLOCK.sub("", page.read_text(encoding="utf-8")))
    for target in (one or other for one, other in _LINK.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    """Paths in code that begin with a folder or a file of this project."""
    text = page.read_text(encoding="utf-8")
    spans = [*_SPAN.findall(_BLOCK.sub("", text)), *(body for _, body in _BLOCK.findall(text))]
    named = {found for span in spans for found in _FILE.findall(span) if found.split("/")[0] in TOP}
    missing = {
        name for name in named if not any(ROOT.glob(name.rstrip("/"))) and not within(page, name)
    }
    assert not missing


def test_the_way_of_a_picture_has_at_most_eight_steps_with_whole_paths() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    way = text.partition("## The way of a picture\n")[2].partition("\n## ")[0]
    jobs = re.findall(r"^\*\*\w+\*\*, `(jobs/\w+\.py)`(.*?)(?=^\*\*|\Z)", way, re.M | re.S)
    names = "prepare synthesize train evaluate inspect_data recognize serve"
    assert [job for job, _ in jobs] == [f"jobs/{name}.py" for name in names.split()]
    for job, told in jobs:
        steps = re.findall(r"^(\d)\. .*?`\w[\w/]*\.py`", told, re.MULTILINE)
        assert steps == [str(number) for number in range(1, len(steps) + 1)], job
        assert 3 <= len(steps) <= 8, job
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / name).is_file(), name


def within(page: Path, name: str) -> bool:
    return (page.parent / name).exists()


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("python jobs/train.py --no-such-flag 1", SystemExit),
        ("crnn train --epochs many", SystemExit),
        ("python jobs/recognize.py --input crops", SystemExit),
        ("crnn nothing", ValueError),
        ("python jobs/nothing.py", ValueError),
    ],
)
def test_a_wrong_command_is_found(
    command: str, refusal: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = commands("x.md", f"```bash\n{command}   # a comment\n```\n")
    assert line.text == command
    with contextlib.redirect_stderr(io.StringIO()), pytest.raises(refusal):
        check_ours(line.arguments(), monkeypatch)


def test_commands_are_found_wherever_they_are_written() -> None:
    page = (
        "see `python bench/bulk.py --rounds 2` or\n\n"
        "    python jobs/serve.py --port 1     a server\n\n"
        "```bash\npip install x && python jobs/train.py\n"
        "ray job submit -- python jobs/train.py \\\n    --name first  # a name\n"
        "crnn export --bundle B | tee log\ncd x; crnn read a.png > b\n```\n"
        "and crnn reads words\n"
    )
    assert [line.text for line in commands("x.md", page)] == [
        "python jobs/train.py",
        "python jobs/train.py      --name first",
        "crnn export --bundle B",
        "crnn read a.png",
        "python jobs/serve.py --port 1     a server",
        "python bench/bulk.py --rounds 2",
    ]


def test_flags_are_read_from_the_text_of_a_script() -> None:
    source = "p.add_argument('kind', choices=['a'])\np.add_argument('--n', type=int, default=X)\n"
    parser = bench_parser(source)
    assert parser.parse_known_args(["a", "--n", "1", "--m"])[1] == ["--m"]
    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(["b"])
