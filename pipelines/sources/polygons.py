"""Lines of scene-text ground truth → polygons with their words; polygons → four corners.

A polygon of four corners that is convex stays as it is, made clockwise. Any other becomes the
smallest rotated rectangle around it, its first corner where the polygon's reading begins: a word
on a curve is cut out whole and straight, not bent straight.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn.images.region import Region, clockwise, from_box
from pipelines.sources.icdar import unquoted
from pipelines.sources.ranged import text_lines

Points = tuple[float, ...]
"""x0,y0,x1,y1 … in px, in reading order: from the text's top left along its top."""
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_TOTAL_TEXT = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\]\s*,\s*ornt:\s*\[[^\]]*\]\s*,"
    r"\s*transcriptions:\s*\[(?P<text>.*)\]\s*",
    re.DOTALL,
)
_CTW_MARK = "####"
_QUAD, _BOX = 8, 4
_SHORT_BASELINE = 0.25
"""Of an outline's longer side."""
_LONG = 3.0
"""Length over height."""


class LabelledWord(NamedTuple):
    """One word of a ground-truth file."""

    line: int
    points: Points
    text: str
    complaint: str = ""
    """What is wrong with the line; then it has neither points nor text."""


def words(content: str) -> list[LabelledWord]:
    """The words of one file, in any of the usual ways to write them.

    ``x0,y0,…,x3,y3,text`` (ICDAR 2015), ``x0 y0 x1 y1 "text"`` with spaces or commas (ICDAR 2013),
    ``x0,y0,…,text`` with more corners (Total-Text, CTW1500), ``x: [[…]], y: [[…]], …`` (the
    original Total-Text). Where ten or more numbers stand before a text that is a number itself,
    they are corners if another line of the file has as many before a word, else four corners and
    a text with commas.
    """
    entries = list(_entries(content))
    are_polygons = any(_is_polygon(line) for _, line in entries)
    return [_word(number, line, are_polygons) for number, line in entries]


def corners_of(points: Points) -> Region:
    """Four corners, clockwise from the text's top left, of a box (two points) or a polygon."""
    if len(points) == _BOX:
        x0, y0, x1, y1 = points
        return from_box(x0, y0, x1, y1)
    xy = np.array(points, dtype=np.float64).reshape(-1, 2)
    if len(xy) == 4:
        xy = clockwise(xy)
    elif _area(xy) < 0:
        xy = np.concatenate([xy[:1], xy[:0:-1]])
    if len(xy) != 4 or not _is_convex(xy):
        xy = _around(xy, reading=xy[len(xy) // 2 - 1] - xy[0] if len(xy) > 3 else xy[1] - xy[0])
    return tuple(float(value) for value in xy.reshape(-1))  # type: ignore[return-value]


def corners_along(points: Points, baseline: Points = ()) -> Region:
    """Four corners of a line's outline of which nobody knows where it begins or which way it runs.

    The top side is along the ``baseline`` (two points or more), turned so that it doesn't run to
    the left; without one, or with one too short to tell, along the side of the outline that is
    nearest to level. Four corners that are convex stay where they are.
    """
    xy = np.array(points, dtype=np.float64).reshape(-1, 2)
    ends = np.array([*baseline[:2], *baseline[-2:]], dtype=np.float64)
    reading, is_told = np.array([1.0, 0.0]), False
    if len(ends) == 4:
        chord = ends[2:] - ends[:2]
        shortest = max(1e-9, _SHORT_BASELINE * np.ptp(xy, axis=0).max())
        is_told = bool(np.linalg.norm(chord) >= shortest)
        reading = (-chord if chord[0] < 0 else chord) if is_told else reading
    xy = xy[::-1] if _area(xy) < 0 else xy
    if len(xy) == 4 and _is_convex(xy):
        found = _from_corner(xy, reading)
    elif not is_told and _is_long(xy):
        found = _around(xy, reading)
    else:
        found = _along(xy, reading / np.linalg.norm(reading))
    return tuple(float(value) for value in found.reshape(-1))  # type: ignore[return-value]


def _entries(content: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; what Total-Text breaks over several lines comes as one."""
    held, start = "", 0
    for number, line in enumerate(text_lines(content.removeprefix("\ufeff")), start=1):
        begins = line.lstrip().startswith("x:")
        if held and begins:
            yield start, held
            held = ""
        if begins or held:
            held, start = (held + " " + line.strip(), start) if held else (line, number)
            if _TOTAL_TEXT.fullmatch(held):
                yield start, held
                held = ""
        elif line.strip():
            yield number, line
    if held:
        yield start, held


def _word(number: int, line: str, are_polygons: bool) -> LabelledWord:
    if line.lstrip().startswith("x:"):
        return _total_text(number, line)
    fields, leading = _leading(line)
    if leading >= _QUAD:
        most = (min(leading, len(fields) - 1)) // 2 * 2
        corners = most if _is_polygon(line) or (are_polygons and most > _QUAD) else _QUAD
        text = ",".join(fields[corners:]).strip()
        text = text.removeprefix(_CTW_MARK) or text
    elif leading >= _BOX:
        corners, text = _BOX, ",".join(fields[_BOX:])
    else:
        fields, text = _box_with_spaces(line)
        corners = _BOX
    if len(fields) < corners:
        return LabelledWord(number, (), "", f"expected corners and a text, found {line[:80]!r}")
    points = tuple(float(field) for field in fields[:corners])
    if not all(map(math.isfinite, points)):
        return LabelledWord(number, (), "", f"a corner isn't a finite number in {line[:80]!r}")
    return LabelledWord(number, points, unquoted(text))


def _leading(line: str) -> tuple[list[str], int]:
    """Fields between commas, and how many of them, but for the last, are numbers at the start."""
    fields = line.split(",")
    leading = 0
    for field in fields[:-1]:
        if not NUMBER.fullmatch(field.strip()):
            break
        leading += 1
    return fields, leading


def _is_polygon(line: str) -> bool:
    """Whether an even number of ten or more coordinates stands before one field, a word."""
    fields, leading = _leading(line)
    return (
        leading > _QUAD
        and leading % 2 == 0
        and leading == len(fields) - 1
        and not NUMBER.fullmatch(fields[-1].strip())
    )


def _box_with_spaces(line: str) -> tuple[list[str], str]:
    fields = line.split(None, _BOX)
    numbers = all(NUMBER.fullmatch(field) for field in fields[:_BOX])
    return (fields[:_BOX], fields[_BOX]) if len(fields) > _BOX and numbers else ([], "")


def _total_text(number: int, line: str) -> LabelledWord:
    match = _TOTAL_TEXT.fullmatch(line.strip())
    if match is None:
        return LabelledWord(
            number, (), "", f"expected Total-Text's x, y, ornt, transcriptions: {line!r}"
        )
    xs, ys = (NUMBER.findall(match[axis]) for axis in "xy")
    if len(xs) != len(ys) or len(xs) < 3:
        return LabelledWord(
            number, (), "", f"{len(xs)} x and {len(ys)} y; expected three or more of each"
        )
    points = tuple(float(value) for pair in zip(xs, ys, strict=True) for value in pair)
    return LabelledWord(number, points, _literal(match["text"].strip()))


def _literal(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.removeprefix("u").strip("'\"")
    return value if isinstance(value, str) else text


def _area(xy: NDArray[np.float64]) -> float:
    """Twice the signed area: positive where the corners run clockwise, y pointing down."""
    near = xy - xy[0]
    following = np.roll(near, -1, axis=0)
    return float((near[:, 0] * following[:, 1] - near[:, 1] * following[:, 0]).sum())


def _is_convex(xy: NDArray[np.float64]) -> bool:
    edges = np.roll(xy, -1, axis=0) - xy
    following = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    return bool((turns > 1e-3).all())


def _around(xy: NDArray[np.float64], reading: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotated rectangle, from the corner whose top side goes the reading way."""
    base = xy[0]
    box = cv2.boxPoints(cv2.minAreaRect((xy - base).astype(np.float32))).astype(np.float64)
    return _from_corner(box[::-1] if _area(box) < 0 else box, reading) + base


def _from_corner(xy: NDArray[np.float64], reading: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clockwise corners, from the one whose side goes most nearly the reading way."""
    sides = np.roll(xy, -1, axis=0) - xy
    first = int(np.argmax(sides @ reading / np.maximum(np.linalg.norm(sides, axis=1), 1e-9)))
    return np.roll(xy, -first, axis=0)


def _is_long(xy: NDArray[np.float64]) -> bool:
    """Whether its smallest rectangle tells which way the text runs; that of one letter doesn't."""
    _, (width, height), _ = cv2.minAreaRect((xy - xy[0]).astype(np.float32))
    return max(width, height) >= _LONG * min(width, height)


def _along(xy: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rectangle around it whose top side has the direction ``along``, of length 1."""
    axes = np.array([along, [-along[1], along[0]]])
    (left, top), (right, bottom) = (xy @ axes.T).min(axis=0), (xy @ axes.T).max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ axes
