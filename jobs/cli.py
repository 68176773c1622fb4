"""Typed command lines: a config dataclass becomes flags, help and YAML keys.

Exit status: 0 done, 1 a ``CrnnError`` (bad data, bundle, placement) or a file that may not be
used, 2 bad arguments, 130 Ctrl-C, 141 when the reader of the output has gone, as in
``--help | head``.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import tyro
import yaml
from typing_extensions import Doc
from tyro.constructors import (
    MISSING,
    MISSING_NONPROP,
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from jobs.command import COMMANDS, DISTRIBUTION, PROGRAM
from jobs.failures import ours, text_of
from jobs.renamed import current_flags
from jobs.yaml_file import flags_from

Config = TypeVar("Config")
_MISSING = (MISSING, MISSING_NONPROP)
_NOT_TO_BE_HAD = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS)
OF_TRAINING = {
    *("babel", "brotli", "confusable_homoglyphs", "fontTools", "lmdb", "matplotlib", "rstr"),
    *("symspellpy", "tensorboard", "wordfreq"),
}
"""Modules of the packages that the extra 'train' brings; fonts apart."""
_EMPTY = "''"
"""How tyro shows an empty string."""


def parse(config_type: type[Config], argv: Sequence[str], *, description: str) -> Config:
    """The config of a command line; ``--config FILE.yaml`` first, flags override it.

    Raises:
        ValueError: for a YAML file that is missing, malformed, or has an unknown key.
        SystemExit: status 2 for bad flags, 0 after ``--help``.
    """
    paths, flags = _take_config(list(current_flags(argv)))
    given = [arg for path in paths for arg in flags_from(config_type, Path(path))]
    overridden = {flag.split("=")[0].replace("_", "-") for flag in flags if flag.startswith("--")}
    kept = _without(given, overridden)
    called = as_called(description, sys.argv[0])
    examples = re.sub(r"\n\s*(?=(python|ray|serve|crnn) )", "\n\n", called)  # a line each
    text = (
        examples.strip() + "\n\n--config FILE.yaml reads any of these from YAML; flags override it."
    )
    first_flag = next((i for i, flag in enumerate(flags) if flag.startswith("-")), len(flags))
    places, named = flags[:first_flag], flags[first_flag:]  # a list from YAML would go on with them
    return tyro.cli(
        config_type,
        args=[*places, *kept, *named],
        description=text,
        registry=_help_rules(),
    )


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a job's ``main`` and ends the process with the status its outcome deserves."""
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(_complain(error, status=2))
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted; run the same command again to continue", status=130))
    except BrokenPipeError:
        if not _output_closed():
            raise
        sys.exit(141)
    except Exception as error:
        found = ours(error) or _of_a_file(error) or _of_a_package(error)
        if found is None:
            raise
        sys.exit(_complain(found, status=1))


@contextmanager
def importing() -> Iterator[None]:
    """As ``run``, for a script that imports at once what an extra brings."""
    try:
        yield
    except ModuleNotFoundError as error:
        found = _of_a_package(error)
        if found is None:
            raise
        sys.exit(_complain(found, status=1))


def _of_a_file(error: Exception) -> str | None:
    """What a user can put right where a file isn't to be had; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in _NOT_TO_BE_HAD or not error.filename:
        return None
    return f"can't use {error.filename}: {error.strerror}; check its permissions and its name"


def _of_a_package(error: Exception) -> str | None:
    """What to install where a package isn't there that only some jobs need; else None."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name not in OF_TRAINING:
        return None
    return (
        f"the package {name} isn't installed; what prepares, inspects, renders and trains needs "
        f"the extra 'train': pip install '{DISTRIBUTION}[train]', or pip install -c "
        "requirements.lock -e '.[train]' in the project's folder"
    )


def as_called(text: str, program: str) -> str:
    """Examples of scripts as examples of ``crnn``, where it is what was called."""
    if not program.startswith(f"{PROGRAM} "):
        return text
    names = {command.module: name for name, command in COMMANDS.items()}
    return re.sub(
        r"(?<!-- )python jobs/(\w+)\.py", lambda found: f"{PROGRAM} {names[found[1]]}", text
    )


def as_mapping(config: Any) -> dict[str, Any]:
    """A config dataclass as plain nested values, as YAML and JSON take them."""
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_plain(config)))
    return plain


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots: ``{"optim": {"lr": 1}}`` → ``{"optim.lr": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _help_rules() -> ConstructorRegistry:
    """How help is shown: a job's own flags first, then those of its config's bases; each default
    once, where tyro would add ``(default: '')`` to a text that names it already."""
    registry = ConstructorRegistry()
    asked: list[Any] = []

    @registry.struct_rule
    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if info in asked:  # tyro's own rules make it
            return None
        asked.append(info)
        spec = ConstructorRegistry.get_struct_spec(info)
        asked.pop()
        if not isinstance(spec, StructConstructorSpec) or not dataclasses.is_dataclass(info.type):
            return None
        own_first = sorted(spec.fields, key=lambda one: _owner(info.type, one.name))
        return dataclasses.replace(spec, fields=tuple(map(_with_plain_default, own_first)))

    return registry


def _owner(config_type: type, name: str) -> int:
    """How far up the bases of a config it is that has a field."""
    return next(i for i, base in enumerate(config_type.__mro__) if name in _annotations(base))


def _annotations(base: type) -> Mapping[str, Any]:
    return vars(base).get("__annotations__", {})


def _with_plain_default(spec: StructFieldSpec) -> StructFieldSpec:
    if dataclasses.is_dataclass(spec.type):
        return spec

    plain, *more = get_args(spec.type) if get_origin(spec.type) is Annotated else (spec.type,)
    shared = next((one.documentation for one in more if isinstance(one, Doc)), None)

    def text() -> str:
        given = shared or (spec.helptext() if callable(spec.helptext) else spec.helptext)
        return " ".join((given or "").replace("``", "").split())

    def hint(default: str) -> str:
        if spec.default in _MISSING:  # of a list, which tyro would take empty
            return "(required)"
        if "default:" in text().lower():
            return ""
        return f"(default: {'none' if default in ('', _EMPTY) else default})"

    typed: Any = Annotated[(plain, tyro.conf.arg(help_behavior_hint=hint), *more)]
    return dataclasses.replace(spec, type=typed, helptext=text)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def _output_closed() -> bool:
    """Whether standard output is a pipe without a reader; what is left of it is dropped then."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def _complain(error: BaseException | str, *, status: int) -> int:
    text = text_of(error) if isinstance(error, BaseException) else error
    print(f"error: {text}", file=sys.stderr, flush=True)
    return status


def _take_config(argv: list[str]) -> tuple[list[str], list[str]]:
    """(YAML paths, the other arguments)."""
    paths, rest = [], []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            path = next(arguments, None)
            if path is None:
                raise ValueError("--config has no value; expected the path of a YAML file")
            paths.append(path)
        elif argument.startswith("--config="):
            paths.append(argument.split("=", 1)[1])
        else:
            rest.append(argument)
    return paths, rest


def _without(given: list[str], overridden: set[str]) -> list[str]:
    """YAML's flags less those that stand on the command line too."""
    kept, dropping = [], False
    positive = {_positive(flag) for flag in overridden}
    for argument in given:
        if argument.startswith("--"):
            dropping = _positive(argument.partition("=")[0]) in positive
        if not dropping:
            kept.append(argument)
    return kept


def _positive(flag: str) -> str:
    """``--a.no-b`` → ``--a.b``."""
    *room, last = flag.removeprefix("--").split(".")
    return ".".join([*room, last.removeprefix("no-")])
