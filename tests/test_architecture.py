"""Rules of layout that neither ruff nor import-linter can say; each names its offenders."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("crnn", "pipelines", "jobs")
FILE_LINES = 400
FUNCTION_LINES = 60
MAIN_LINES = 40
NO_OWNER_NAMES = {"utils", "util", "common", "helpers", "misc"}
BLANK_OWNER = "crnn/text/charset.py"
WIRE = "crnn/wire.py"
SAME_IDEA = {"Chunk", "Line", "Page", "Piece", "PieceReader", "Planned", "Progress"}
"""What each job has of its own: of a plan, of a page, of how far it is."""
PRIVATE_RAY = ("jobs/ray_internals.py", "pipelines/spread.py")
"""All that names what Ray calls private; the latter how often a task has begun, as pipelines may
not import jobs."""


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        return cls(path, text, ast.parse(text, filename=path))

    def at(self, node: ast.stmt | ast.expr, what: str) -> str:
        return f"{self.path}:{node.lineno}: {what}"


@cache
def sources() -> list[Source]:
    return [
        Source.of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def train_and_serve(source: Source) -> Iterator[str]:
    """Places that use ``ray.train`` or ``ray.serve``; import-linter sees of Ray the whole only."""
    return uses(source, r"ray\.(train|serve)(\.|$)")


def private_ray(source: Source) -> Iterator[str]:
    """Places that use what Ray calls private or internal, or name it in a text."""
    yield from uses(source, r"ray\.(.*\.)?_[^_]")
    for node in ast.walk(source.tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"ray[.:]([\w.:]+[.:])?_[\w.:]+", text):
            assert isinstance(node, ast.expr)
            yield source.at(node, f"names {text}")


def uses(source: Source, pattern: str) -> Iterator[str]:
    """Places that import or name something whose dotted name begins as the pattern says."""
    for node in ast.walk(source.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        if any(re.match(pattern, name) for name in names):
            assert isinstance(node, (ast.stmt, ast.expr))
            yield source.at(node, f"uses {names}")


def functions(source: Source) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def says_blank(node: ast.expr | str | None) -> bool:
    name = node
    if isinstance(node, ast.Name):
        name = node.id
    elif isinstance(node, ast.Attribute):
        name = node.attr
    return isinstance(name, str) and name.lower().lstrip("_") in {
        "blank", "blank_id", "blank_index", "blank_class", "blank_label", "ctc_blank",
    }  # fmt: skip


def literal_blanks(source: Source) -> Iterator[str]:
    """Places that give the blank a number: assignments, defaults, keywords and comparisons."""
    for node in ast.walk(source.tree):
        pairs: list[tuple[ast.expr | str | None, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.keyword):
            pairs = [(node.arg, node.value)]
        elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
            pairs = [(node.left, node.comparators[0]), (node.comparators[0], node.left)]
        elif isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            defaulted = positional[len(positional) - len(node.defaults) :]
            pairs = [(a.arg, d) for a, d in zip(defaulted, node.defaults, strict=True)]
            pairs += [(a.arg, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
        for name, value in pairs:
            if says_blank(name) and isinstance(value, ast.Constant) and type(value.value) is int:
                yield source.at(value, f"gives the blank the number {value.value}")


def unsafe_loads(source: Source) -> Iterator[str]:
    """``torch.load`` without ``weights_only=True``, under whatever name it was imported."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            if any(alias.name == "load" for alias in node.names):
                yield source.at(node, "imports torch.load by name; call torch.load(…)")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = [k.value for k in node.keywords if k.arg == "weights_only"]
            if not any(isinstance(value, ast.Constant) and value.value is True for value in safe):
                yield source.at(node, "torch.load without weights_only=True")


def check(offenders: list[str], rule: str) -> None:
    assert not offenders, f"{rule}:\n" + "\n".join(offenders)


def test_who_only_prepares_data_loads_no_pytorch() -> None:
    """Each process of Ray that loads it takes seconds and 200 MB before it begins."""
    names = "stream.flow stream.scan prepare.flow inspection.look inspection.again comparison.flow"
    modules = ", ".join(f"pipelines.{name}" for name in names.split())
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_training_and_serving_on_ray_belong_to_jobs() -> None:
    assert {source.path.split("/")[0] for source in sources()} == set(PACKAGES)
    used = {
        package: [
            found
            for source in sources()
            if source.path.startswith(f"{package}/")
            for found in train_and_serve(source)
        ]
        for package in ("pipelines", "jobs")
    }
    assert used["jobs"], "the reader sees them"
    check(used["pipelines"], "ray.train and ray.serve are used in jobs only")


def test_what_ray_calls_private_is_used_in_one_place() -> None:
    used = [found for source in sources() for found in private_ray(source)]
    assert {one.split(":")[0] for one in used} >= set(PRIVATE_RAY), "the reader sees them"
    others = [one for one in used if one.split(":")[0] not in PRIVATE_RAY]
    check(others, f"Ray's private parts are named in {' and '.join(PRIVATE_RAY)} alone")


def test_a_class_has_a_name_of_its_own() -> None:
    """But where several are the same idea, and in crnn/wire.py: what things are in JSON."""
    homes: dict[str, list[str]] = {}
    for source in sources():
        if source.path != WIRE:
            for node in source.tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes.setdefault(node.name, []).append(source.path)
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert twice.keys() == SAME_IDEA, {k: v for k, v in twice.items() if k not in SAME_IDEA}


def test_every_file_has_a_name_that_says_what_it_owns() -> None:
    offenders = [
        s.path for s in sources() if NO_OWNER_NAMES & set(Path(s.path).with_suffix("").parts)
    ]
    check(offenders, "a helper lives with its owner")


def test_files_and_functions_stay_short() -> None:
    sizes = [(source.path, len(source.text.splitlines())) for source in sources()]
    offenders = [f"{path}: {lines} lines" for path, lines in sizes if lines > FILE_LINES]
    offenders += [
        source.at(node, f"{node.name} has {lines} lines")
        for source in sources()
        for node, lines in functions(source)
        if lines > (MAIN_LINES if node.name == "main" else FUNCTION_LINES)
    ]
    check(
        offenders,
        f"a file has at most {FILE_LINES} lines, a function {FUNCTION_LINES}, main {MAIN_LINES}",
    )


def test_only_the_charset_knows_the_number_of_the_blank() -> None:
    others = (source for source in sources() if source.path != BLANK_OWNER)
    offenders = [found for source in others for found in literal_blanks(source)]
    check(offenders, f"the blank's id is defined in {BLANK_OWNER} alone")


def test_nothing_is_loaded_that_could_run_code() -> None:
    offenders = [found for source in sources() for found in unsafe_loads(source)]
    check(offenders, "torch.load takes weights_only=True")


@pytest.mark.parametrize(
    "text",
    [
        "BLANK_ID = 0",
        "self.blank: int = 0",
        "ctc_loss(x, blank=0)",
        "def f(*, blank_id: int = 0): ...",
        "def f(a, blank=0): ...",
        "path != blank or blank == 0",
    ],
)
def test_the_reader_sees_every_literal_blank(text: str) -> None:
    assert list(literal_blanks(Source.of("crnn/model/ctc.py", text)))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("torch.load(path)", False),
        ("torch.load(path, weights_only=False)", False),
        ("from torch import load", False),
        ("torch.load(path, weights_only=True)", True),
        ("safetensors.torch.load(data)", True),
    ],
)
def test_the_reader_sees_every_unsafe_load(text: str, safe: bool) -> None:
    assert (not list(unsafe_loads(Source.of("crnn/bundle/bundle.py", text)))) is safe


@pytest.mark.parametrize(
    "text",
    [
        "from ray._private import parameter",
        "from ray.experimental.internal_kv import _internal_kv_get",
        "import ray.train.v2._internal",
        "ray._private.worker.global_worker",
        "part = 'ray._raylet:Config.initialize'",
        "logging.getLogger('ray.data._internal.progress')",
    ],
)
def test_the_reader_sees_every_private_part_of_ray(text: str) -> None:
    assert list(private_ray(Source.of("jobs/one.py", text)))
    assert not list(private_ray(Source.of("jobs/one.py", "import ray.data; 'ray serve'")))
