"""The rules of layout and imports, read from the source with ``ast``; each names its offenders."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("crnn", "pipelines", "jobs")
FILE_LINES = 400
FUNCTION_LINES = 60
MAIN_LINES = 40
NO_OWNER_NAMES = {"utils", "util", "common", "helpers", "misc"}
BLANK_OWNER = "crnn/charset.py"
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve"}


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        return cls(path, text, ast.parse(text, filename=path))

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def folder_module(self) -> str:
        """Dotted name of the package that relative imports in this file start from."""
        return ".".join(self.path.split("/")[:-1])

    @property
    def is_script(self) -> bool:
        """Directly in ``jobs/`` and run when called by name."""
        return Path(self.path).parent == Path("jobs") and "__main__" in {
            node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant)
        }

    def at(self, node: ast.stmt | ast.expr, what: str) -> str:
        return f"{self.path}:{node.lineno}: {what}"


def read_sources() -> list[Source]:
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [
        Source.of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
    ]


SOURCES = read_sources()
SCRIPTS = [source for source in SOURCES if source.is_script]


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Every module imported anywhere in the file, in full; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = source.folder_module.split(".")
                base = ".".join([*up[: len(up) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                yield node, f"{base}.{alias.name}"


def ray_attributes(source: Source) -> Iterator[tuple[ast.expr, str]]:
    """``ray.train`` and the like where only ``ray`` was imported."""
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ray"
        ):
            yield node, f"ray.{node.attr}"


def within(module: str, *roots: str) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def importing(sources: list[Source], *forbidden: str) -> list[str]:
    return [
        source.at(node, f"imports {module}")
        for source in sources
        for node, module in imports(source)
        if within(module, *forbidden)
    ]


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
    for statement, module in imports(source):
        if module == "torch.load":
            yield source.at(statement, "imports torch.load by name; call torch.load(…)")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = [k.value for k in node.keywords if k.arg == "weights_only"]
            if not any(isinstance(value, ast.Constant) and value.value is True for value in safe):
                yield source.at(node, "torch.load without weights_only=True")


def check(offenders: list[str], rule: str) -> None:
    assert not offenders, f"{rule}:\n" + "\n".join(offenders)


def of(package: str) -> list[Source]:
    return [source for source in SOURCES if source.package == package]


def test_all_three_packages_are_looked_at() -> None:
    assert {source.package for source in SOURCES} == set(PACKAGES)
    assert "jobs/train.py" in {source.path for source in SCRIPTS}


def test_the_recognizer_knows_neither_ray_nor_the_layers_above_it() -> None:
    check(importing(of("crnn"), "ray", "pipelines", "jobs"), "crnn is plain PyTorch")


def test_pipelines_know_nothing_of_jobs() -> None:
    check(importing(of("pipelines"), "jobs"), "imports go jobs → pipelines → crnn")


def test_training_and_serving_on_ray_belong_to_jobs() -> None:
    offenders = importing(of("pipelines"), "ray.train", "ray.serve")
    offenders += [
        source.at(node, f"uses {name}")
        for source in of("pipelines")
        for node, name in ray_attributes(source)
        if within(name, "ray.train", "ray.serve")
    ]
    check(offenders, "ray.train and ray.serve are used in jobs only")


def test_no_job_script_is_imported() -> None:
    names = [Path(script.path).stem for script in SCRIPTS]
    roots = [f"jobs.{name}" for name in names] + names
    check(importing(of("jobs"), *roots), "a job script is run, never imported")


def test_no_job_file_hides_a_module_of_the_standard_library() -> None:
    """``python jobs/train.py`` puts ``jobs/`` first on the path: ``jobs/inspect.py`` would win."""
    offenders = [
        source.path
        for source in of("jobs")
        if len(Path(source.path).parts) == 2 and Path(source.path).stem in sys.stdlib_module_names
    ]
    check(offenders, "a file in jobs/ has the name of a standard module")


def test_every_file_has_a_name_that_says_what_it_owns() -> None:
    offenders = [
        s.path for s in SOURCES if NO_OWNER_NAMES & set(Path(s.path).with_suffix("").parts)
    ]
    check(offenders, "a helper lives with its owner")


def test_files_stay_short() -> None:
    sizes = [(source.path, len(source.text.splitlines())) for source in SOURCES]
    offenders = [f"{path}: {lines} lines" for path, lines in sizes if lines > FILE_LINES]
    check(offenders, f"a file has at most {FILE_LINES} lines")


def test_functions_stay_short() -> None:
    offenders = [
        source.at(node, f"{node.name} has {lines} lines")
        for source in SOURCES
        for node, lines in functions(source)
        if lines > (MAIN_LINES if node.name == "main" else FUNCTION_LINES)
    ]
    check(offenders, f"a function has at most {FUNCTION_LINES} lines, main {MAIN_LINES}")


def test_only_the_charset_knows_the_number_of_the_blank() -> None:
    offenders = [
        found
        for source in SOURCES
        if source.path != BLANK_OWNER
        for found in literal_blanks(source)
    ]
    check(offenders, f"the blank's id is defined in {BLANK_OWNER} alone")


def test_no_bare_except() -> None:
    offenders = [
        f"{source.path}:{node.lineno}"
        for source in SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    check(offenders, "an except names what it catches")


def test_nothing_is_loaded_that_could_run_code() -> None:
    offenders = importing(SOURCES, *UNSAFE_MODULES)
    offenders += [found for source in SOURCES for found in unsafe_loads(source)]
    check(offenders, "no pickle; torch.load takes weights_only=True")


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("import ray.data as data", "ray.data"),
        ("def f():\n    from ray import train", "ray.train"),
        ("from ..render import draw", "pipelines.render.draw"),
        ("from . import plan", "pipelines.stream.plan"),
    ],
)
def test_the_reader_sees_every_way_to_import(text: str, module: str) -> None:
    assert module in {name for _, name in imports(Source.of("pipelines/stream/flow.py", text))}


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
    assert list(literal_blanks(Source.of("crnn/ctc.py", text)))


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
    assert (not list(unsafe_loads(Source.of("crnn/bundle.py", text)))) is safe
