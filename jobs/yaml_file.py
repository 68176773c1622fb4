"""A job's YAML file → flags of its command line, each value as it is written there."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from jobs.renamed import current_key


def flags_from(config_type: type, path: Path) -> list[str]:
    """The keys and values of a YAML file as the flags that mean the same.

    Raises:
        ValueError: for a file that is missing, malformed, or has an unknown key, a key twice, or a
            value of another kind than the config's.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where nobody may look
        raise ValueError(f"--config {path} is not a file; expected a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_twice(yaml.compose(text), path)
        mapping = yaml.safe_load(text) or {}
        written = yaml.load(text, Loader=yaml.BaseLoader) or {}
    except OSError as error:
        raise ValueError(f"--config {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path} is not YAML: {error}") from None
    if not isinstance(mapping, dict):
        raise ValueError(
            f"--config {path} holds {type(mapping).__name__}; expected keys and values"
        )
    return list(_flags_of(config_type, mapping, written, "", path))


def _refuse_twice(node: yaml.Node | None, path: Path) -> None:
    """Raise ValueError for a key that is there twice: YAML's readers take the last silently."""
    if not isinstance(node, yaml.MappingNode):
        return
    names = [str(key.value) for key, _ in node.value]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path} has the key {name!r} twice; leave one out")
    for _, value in node.value:
        _refuse_twice(value, path)


def _flags_of(
    config_type: type, mapping: dict[str, Any], written: dict[str, Any], prefix: str, path: Path
) -> Iterator[str]:
    """Flags of values as they are ``written``: numbers keep their notation."""
    types = get_type_hints(config_type)
    for written_key, value in mapping.items():
        key = current_key(written_key, mapping, str(path))
        if key not in types:
            raise ValueError(
                f"{path} has the key {prefix + str(key)!r}; expected one of {', '.join(types)}"
            )
        flag = f"--{prefix}{key}".replace("_", "-")
        if dataclasses.is_dataclass(types[key]):
            if not isinstance(value, dict):
                raise ValueError(f"{path}: {prefix}{key} is {value!r}; expected keys and values")
            below = written.get(str(written_key), value)
            yield from _flags_of(types[key], value, below, f"{prefix}{key}.", path)
            continue
        as_written = written.get(str(written_key), value)
        _check_texts(types[key], value, as_written, f"{path}: {prefix}{key}")
        _check_shape(types[key], value, as_written, f"{path}: {prefix}{key}")
        if isinstance(value, bool):
            name = flag.removeprefix("--")
            *room, last = name.split(".")
            yield flag if value else "--" + ".".join([*room, f"no-{last}"])
        elif isinstance(value, dict):
            pairs = zip(value.items(), as_written.items(), strict=True)
            given = [zip(one, other, strict=True) for one, other in pairs]
            yield from [flag, *(_argument(*part) for pair in given for part in pair)]
        elif isinstance(value, list):
            yield from [flag, *map(_argument, value, as_written)]
        else:
            yield f"{flag}={_argument(value, as_written)}"  # it may begin with a dash


def _argument(value: Any, written: Any) -> str:
    """A value as an argument: a number as it is written, 0100 a hundred and 1e3 a thousand."""
    return str(value if value is None or isinstance(value, bool) else written)


def _check_texts(expected: Any, value: Any, written: Any, where: str) -> None:
    """Raise ValueError where a text is expected and YAML reads something else: 0123, 1.50, no."""
    options = _options(expected)
    if value is None and type(None) in options:
        return
    if isinstance(value, list) and isinstance(written, list):
        inner = next((get_args(o)[:1] for o in options if get_origin(o) in (tuple, list)), ())
        for kind in inner:
            for one, as_written in zip(value, written, strict=True):
                _check_texts(kind, one, as_written, where)
    elif isinstance(value, dict) and isinstance(written, dict):
        inner = next((get_args(o) for o in options if get_origin(o) is Mapping), ())
        pairs = zip(value.items(), written.items(), strict=True)
        for pair, pair_written in pairs if inner else ():
            for kind, one, as_written in zip(inner, pair, pair_written, strict=True):
                _check_texts(kind, one, as_written, where)
    elif value is None:
        raise ValueError(f"{where} has no value; give one, or leave the key out")
    elif any(map(_is_text, options)) and not isinstance(value, str):
        raise ValueError(
            f"{where} is a text, but YAML reads {written} as {value!r}; quote it: "
            f"{json.dumps(str(written), ensure_ascii=False)}"
        )


def _check_shape(expected: Any, value: Any, written: Any, where: str) -> None:
    """Raise ValueError for a list, keys and values, or a yes where one of another kind belongs."""
    options = _options(expected)
    kinds = {get_origin(option) or option for option in options}
    shown = f"{where} is {written!r}"
    if isinstance(value, list) and not kinds & {tuple, list}:
        raise ValueError(f"{shown}, a list; expected one value")
    if isinstance(value, dict) and not kinds & {Mapping, dict}:
        raise ValueError(f"{shown}, keys and values; expected one value")
    if kinds == {bool} and not isinstance(value, bool):
        raise ValueError(f"{shown}; expected true or false, without quotes")
    if isinstance(value, bool) and bool not in kinds:
        raise ValueError(f"{shown}, which YAML reads as {value}; expected another kind of value")


def _options(expected: Any) -> tuple[Any, ...]:
    """The types that a value may have."""
    return get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)


def _is_text(kind: Any) -> bool:
    named = get_args(kind) if get_origin(kind) is Literal else ()
    return kind is str or bool(named and all(isinstance(name, str) for name in named))
