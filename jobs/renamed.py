"""Settings that have another name than before: the old flag and YAML key still mean the same."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

RENAMED = {"decoders": "decode_processes"}
"""Old name → new name, in any config; ``decoders`` was a letter apart from ``decoder``."""
_FLAG = re.compile(r"(--(?:[\w-]+\.)*)(\w+)(=.*)?", re.DOTALL)


def current_flags(arguments: Iterable[str]) -> Iterator[str]:
    """A command line with the present names: ``--online.decoders=2`` too."""
    for argument in arguments:
        found = _FLAG.fullmatch(argument)
        if found and found[2] in RENAMED:
            new = found[1] + RENAMED[found[2]].replace("_", "-")
            _say(found[1] + found[2], new)
            yield new + (found[3] or "")
        else:
            yield argument


def current_key(key: str, others: Iterable[str], where: str) -> str:
    """The present name of a key of YAML.

    Raises:
        ValueError: if the present name is among the ``others`` of the same mapping.
    """
    new = RENAMED.get(key, key)
    if new != key:
        if new in others:
            raise ValueError(f"{where} has {key} and {new}, which mean the same; leave {key} out")
        _say(f"{key} in {where}", new)
    return new


def _say(old: str, new: str) -> None:
    print(f"note: {old} is called {new} now", file=sys.stderr, flush=True)
