"""Which addresses a request may name: those in an allowed folder, against any attempt to escape.

What a list or a prepared set names is judged by the job, when it reads it: it is given the same
folders.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.prefixes import inside, lies_in


def check_allowed(
    name: str, uri: str, prefixes: Sequence[str], *, but_not: str, may_match: bool = False
) -> None:
    """Raise ValueError, naming the field, unless ``uri`` lies in a prefix, not in ``but_not``.

    ``may_match``: it may be a pattern, which leads nowhere itself; what matches is judged later.
    """
    try:
        allowed = lies_in(uri, prefixes)
        if allowed and not may_match:  # a link may be called *
            allowed = inside(uri, tuple(prefixes)) is not None
    except (OSError, RuntimeError, ValueError) as error:  # the first two: links without end
        raise ValueError(f"{name} is {uri[:200]!r}: {error}") from None
    if not allowed:
        raise ValueError(
            f"{name} is {uri[:200]!r}; expected an address in one of {', '.join(prefixes)}"
        )
    if lies_in(uri, [but_not]):
        raise ValueError(f"{name} is {uri[:200]!r}, where the records of the jobs are")
