"""What a user can put right, found within the errors that Ray wraps around it.

An error of ours that is raised in a task or in a worker reaches the driver inside Ray's own,
whose text is a traceback with terminal colours.
"""

from __future__ import annotations

from collections.abc import Iterator

from crnn.errors import CrnnError

_RAY_DATA_ADVICE = "Failed to apply UDF transform"  # added to the text, about Ray's own settings
_SHORT = 240
_WRAPPED = ("cause", "controller_failure", "health_check_failure", "_base_exc")
"""Where Ray's errors keep the error that they are about."""


def ours(error: BaseException) -> CrnnError | None:
    """The error of ours that ``error`` is, or that it was made from; None where there is none."""
    for found in _within(error):
        # Ray's RayTaskError(DataError) is a DataError too, with a traceback for its text.
        if isinstance(found, CrnnError) and not hasattr(found, "cause"):
            return found
    return None


def text_of(error: BaseException) -> str:
    """The text of an error without control characters and without what Ray Data adds to it."""
    text = str(error).split(_RAY_DATA_ADVICE)[0].strip()
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def in_short(error: BaseException) -> str:
    """Kind and text of an error on one line of bounded length, for a log."""
    found = ours(error) or _unwrapped(error)
    text = " ".join(text_of(found).split())
    text = text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
    return f"{type(found).__name__}: {text}"


def _unwrapped(error: BaseException) -> BaseException:
    """The error that Ray's own, if it is one, is about."""
    for name in _WRAPPED:
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException) and inner is not error:
            return _unwrapped(inner)
    return error


def _within(error: BaseException) -> Iterator[BaseException]:
    """``error`` and its causes, the outermost first."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        found = pending.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        pending += [getattr(found, name, None) for name in _WRAPPED]
        pending += [*getattr(found, "worker_failures", {}).values(), found.__cause__]
