"""Packages whose names cost nothing until they are used: a command line needs no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module


def names_of(package: str, names: Sequence[str], *modules: str) -> Callable[[str], object]:
    """A package's ``__getattr__``: imports these of its modules in turn until one has the name.

    What is light comes first among ``modules``. The function raises AttributeError for a name
    that is none of ``names``.
    """

    def find(name: str) -> object:
        if name in names:
            for module in modules:
                home = import_module(f"{package}.{module}")
                if hasattr(home, name):
                    return getattr(home, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {list(names)}")

    return find
