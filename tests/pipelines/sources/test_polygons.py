"""Ground truth of scene pictures → polygons and words; polygons → regions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnn.images.contract import decode_picture
from crnn.images.region import cut_out, from_box
from pipelines.sources.polygons import corners_along, corners_of, words
from tests.pipelines.conftest import encoded

QUAD = (377, 117, 463, 117, 465, 130, 378, 130)
HEXAGON = (0, 20, 40, 0, 80, 20, 80, 40, 40, 20, 0, 40)
"""A word on an arch: along its top, then back along its bottom."""


def line(numbers: tuple[int, ...], text: str, comma: str = ",") -> str:
    return comma.join([*map(str, numbers), text])


@pytest.mark.parametrize(
    ("content", "points", "text"),
    [
        (line(QUAD, "Genaxis Theatre"), QUAD, "Genaxis Theatre"),
        ("\ufeff" + line(QUAD, "[06]") + "\r\n", QUAD, "[06]"),
        (line(QUAD, "1,000"), QUAD, "1,000"),
        (line(QUAD, "1,000,000"), QUAD, "1,000,000"),
        (line(QUAD, "a, b"), QUAD, "a, b"),
        (line(QUAD, "42"), QUAD, "42"),
        (line(QUAD, "x", ", "), QUAD, "x"),
        ('38 43 920 215 "Tiredness"', (38, 43, 920, 215), "Tiredness"),
        ('38 43 920 215 "a \\"b\\" c"', (38, 43, 920, 215), 'a "b" c'),
        ('38, 43, 920, 215, "it, is"', (38, 43, 920, 215), "it, is"),
        (line(HEXAGON, "ARCH"), HEXAGON, "ARCH"),
        (line(HEXAGON, "####STOP"), HEXAGON, "STOP"),
        (line(HEXAGON, "###"), HEXAGON, "###"),
        ("0.5,1.5,-2,3e1,5,5,0,5,x", (0.5, 1.5, -2, 30, 5, 5, 0, 5), "x"),
    ],
)
def test_a_word_in_each_of_the_usual_ways(
    content: str, points: tuple[float, ...], text: str
) -> None:
    (word,) = words(content)
    assert (word.points, word.text, word.complaint) == (points, text, "")


def test_numbers_before_a_number_are_corners_where_another_line_says_so() -> None:
    numeric = line(HEXAGON, "1984")
    assert words(numeric)[0].points == HEXAGON[:8]
    both = words(numeric + "\n" + line(HEXAGON, "ARCH"))
    assert [(word.points, word.text) for word in both] == [(HEXAGON, "1984"), (HEXAGON, "ARCH")]


def test_total_text_as_it_was_published_first() -> None:
    content = (
        "x: [[206 633 \n  643]], y: [[843 832 872]], ornt: [u'm'], transcriptions: [u'PETRO']\n"
        "x: [[1 2 3]], y: [[4 5 6]], ornt: [u'c'], transcriptions: [u\"Int'l\"]\n"
        "x: [[1 2]], y: [[4 5 6]], ornt: [u'c'], transcriptions: [u'x']\n"
        "x: [[1 2 3]], y: [[4 5 6]], ornt: [u'#'], transcriptions: [u'#']\n"
        "x: [[1 2 3]], y: cut"
    )
    found = words(content)
    assert [(word.line, word.points, word.text) for word in found] == [
        (1, (206, 843, 633, 832, 643, 872), "PETRO"),
        (3, (1, 4, 2, 5, 3, 6), "Int'l"),
        (4, (), ""),
        (5, (1, 4, 2, 5, 3, 6), "#"),
        (6, (), ""),
    ]
    assert found[2].complaint.startswith("2 x and 3 y")
    assert "cut" in found[4].complaint


@pytest.mark.parametrize("content", ["no numbers", "1,2,3,x", "1 2 3 x y", "1,2,3,4,5,6,7,inf,x"])
def test_lines_that_are_no_word_say_so(content: str) -> None:
    (word,) = words(content)
    assert bool(word.complaint) != bool(word.points)
    assert word.text == "" or word.points


def test_infinite_corners_are_refused() -> None:
    (word,) = words("1,2,3,4,5,6,7,1e999,x")
    assert word.complaint


def test_a_clockwise_quadrilateral_stays_and_another_is_turned() -> None:
    assert corners_of(QUAD) == QUAD
    turned = (*QUAD[:2], *QUAD[6:], *QUAD[4:6], *QUAD[2:4])
    assert corners_of(turned) == QUAD
    assert corners_of((5, 9, 1, 2)) == from_box(1, 2, 5, 9)


def test_a_curved_word_becomes_the_rectangle_around_it_the_right_way_up() -> None:
    region = corners_of(HEXAGON)
    assert region == pytest.approx(from_box(0, 0, 80, 40), abs=1e-3)
    upside_down = tuple(
        value for x, y in zip(HEXAGON[::2], HEXAGON[1::2], strict=True) for value in (-x, -y)
    )
    region = corners_of(upside_down)
    assert region[:2] == pytest.approx((0, 0), abs=1e-3)
    assert region[2:4] == pytest.approx((-80, 0), abs=1e-3)


@given(
    points=st.lists(st.tuples(st.integers(1, 59), st.integers(1, 19)), min_size=5, max_size=14),
)
def test_any_polygon_gives_a_rectangle_with_all_its_points(points: list[tuple[int, int]]) -> None:
    region = corners_of(tuple(float(value) for point in points for value in point))
    corners = list(zip(region[::2], region[1::2], strict=True))
    for x, y in points:
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            side = math.hypot(x1 - x0, y1 - y0)
            assert ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) >= -0.01 * max(side, 1)


def test_the_cut_out_of_a_box_is_the_pictures_own_pixels() -> None:
    image = decode_picture(encoded("word", format="PNG"))
    region = corners_of((5.0, 2.0, 25.0, 12.0))
    assert cut_out(image, region).tobytes() == image.crop((5, 2, 25, 12)).tobytes()


def test_an_outline_without_extent_stays_one() -> None:
    assert corners_along((5, 5, 5, 5, 5, 5), (5, 5, 5, 5)) == (5,) * 8
