"""Values in messages: short ones whole, else a part of them and how much more there is."""

from __future__ import annotations

_MOST = 160


def brief(value: object) -> str:
    """How Python writes a value, cut where it is long."""
    whole = repr(value)
    return whole if len(whole) <= _MOST else _cut(whole, 0)


def change(before: object, after: object) -> tuple[str, str]:
    """Two values that differ, written as ``brief`` does; of long ones what lies around the first
    difference."""
    first, second = repr(before), repr(after)
    if max(len(first), len(second)) <= _MOST:
        return first, second
    same = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        same += 1
    begin = max(0, same - _MOST // 4)
    return _cut(first, begin), _cut(second, begin)


def _cut(whole: str, begin: int) -> str:
    shown = whole[begin : begin + _MOST]
    left = len(whole) - begin - len(shown)
    behind = f"… and {left:,} characters more" if left else ""
    return f"{'…' if begin else ''}{shown}{behind}"
