"""Lines of delimited text → records: fields between delimiters, in quotes where they need them.

A field in double quotes may hold delimiters, doubled quotes, and line ends. A quote that opens a
field and isn't closed as it should be spoils its own line only: the next ones are read for
themselves, and none is swallowed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

NAMED_DELIMITER = "sep="
"""With the delimiter behind it, what Excel understands on a first line."""
_MOST_LINES = 100
"""That one field in quotes may have."""

Line = tuple[int, str, str]
"""Number, text, and what is wrong with it."""
IsRow = Callable[[list[str]], bool]


class DelimitedRow(NamedTuple):
    """One row of a delimited text."""

    line: int
    """Where it begins."""
    fields: list[str]
    quoted: tuple[bool, ...] = ()
    """Which of the fields were in quotes."""
    complaint: str = ""
    """What is wrong with it; then there are no fields."""
    text: str = ""
    """As it stands in the file."""


def records(
    lines: Iterable[Line], delimiter: str, is_row: IsRow, *, with_quotes: bool = True
) -> Iterator[DelimitedRow]:
    """A record for each line, or for several that one field in quotes holds together.

    Args:
        with_quotes: whether quotes are more than characters of the fields.
        is_row: whether fields look like a whole row. Where a quote opens on one such line and
            closes on or behind another, or such a line lies between, both ends are complaints and
            what lies between is read.
    """
    pending, source = deque[Line](), iter(lines)
    spoiled: dict[int, int] = {}
    while pending or (pending := deque(_take(source, 1))):
        number, line, complaint = pending.popleft()
        if complaint:
            yield DelimitedRow(number, [], complaint=complaint, text=line)
        elif number in spoiled:
            message = f"the quote that opens on line {spoiled.pop(number)} closes here"
            yield DelimitedRow(number, [], complaint=message, text=line)
        elif '"' not in line or not with_quotes:
            fields = line.split(delimiter)
            yield DelimitedRow(number, fields, (False,) * len(fields), text=line)
        else:
            record, used, end = _quoted(number, line, pending, source, delimiter, is_row)
            for _ in range(used):
                pending.popleft()
            if end:
                spoiled[end] = number
            yield record


class _Open(Exception):  # noqa: N818  (an answer, not an error)
    """A quote that is still open at the end of the text."""


class _Malformed(Exception):  # noqa: N818
    """A quote that closes before the end of its field."""


def split(text: str, delimiter: str) -> tuple[list[str], tuple[bool, ...]]:
    """Fields, and which of them were in quotes.

    Raises:
        ValueError: when a quote that opens a field doesn't close at its end.
    """
    try:
        return _split(text, delimiter)
    except (_Open, _Malformed):
        raise ValueError(f"a quote opens a field and doesn't close at its end: {text!r}") from None


def _quoted(
    number: int,
    line: str,
    pending: deque[Line],
    source: Iterator[Line],
    delimiter: str,
    is_row: IsRow,
) -> tuple[DelimitedRow, int, int]:
    """The record that begins with a line with quotes; how many more lines it takes; and the line
    that is spoiled by it."""
    held = [line]
    while len(held) <= _MOST_LINES:
        text = "\n".join(held)
        try:
            fields, quoted = _split(text, delimiter)
        except _Malformed:
            break
        except _Open:
            while len(pending) < len(held) and (more := _take(source, 1)):
                pending += more
            if len(pending) < len(held) or pending[len(held) - 1][2]:
                break
            held.append(pending[len(held) - 1][1])
            continue
        rows = [is_row(one.split(delimiter)) for one in held]
        if len(held) > 1 and (any(rows[1:-1]) or (rows[0] and rows[-1])):
            end = pending[len(held) - 2][0]
            message = f"a quote opens here and closes on line {end}, with rows between"
            return DelimitedRow(number, [], complaint=message, text=line), 0, end
        return DelimitedRow(number, fields, quoted, text=text), len(held) - 1, 0
    message = (
        f"a quote opens a field and doesn't close at its end: {line[:80]!r}; write quotes within "
        "a field in quotes twice"
    )
    return DelimitedRow(number, [], complaint=message, text=line), 0, 0


def _split(text: str, delimiter: str) -> tuple[list[str], tuple[bool, ...]]:
    in_quotes, bare = _patterns(delimiter)
    fields: list[str] = []
    quoted: list[bool] = []
    place = 0
    while True:
        match = in_quotes.match(text, place)
        if match is not None:
            if match["close"] is None:
                raise _Open
            if match["end"] is None:
                raise _Malformed
            fields.append(match["field"].replace('""', '"'))
        else:
            match = bare.match(text, place)
            assert match is not None  # it matches nothing at all, too
            fields.append(match["field"])
        quoted.append("close" in match.re.groupindex)
        place = match.end()
        if not match["end"]:
            return fields, tuple(quoted)


@cache
def _patterns(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    mark = re.escape(delimiter)
    in_quotes = rf' *"(?P<field>(?:[^"]|"")*+)(?P<close>" *(?P<end>{mark}|\Z)?)?'
    return re.compile(in_quotes), re.compile(rf"(?P<field>[^{mark}]*)(?P<end>{mark}|\Z)")


def _take(source: Iterator[Line], count: int) -> list[Line]:
    return [line for _, line in zip(range(count), source, strict=False)]
