"""Which characters are taken for which: a heat map of the worst, and a list."""

from __future__ import annotations

import math
from collections import Counter

from pipelines.evaluation.tally import Confusion
from pipelines.report.figures import number
from pipelines.report.markup import Markup, shown_character, tag, together

MATRIX_SIZE = 14
LISTED = 40
NOTHING = "∅"


def confusion_section(confusions: Counter[Confusion]) -> Markup:
    """The character errors of all wrong readings."""
    missed = sum(n for (expected, read), n in confusions.items() if not read)
    extra = sum(n for (expected, read), n in confusions.items() if not expected)
    swapped = confusions.total() - missed - extra
    return tag(
        "section",
        tag("h2", "Character errors"),
        tag(
            "p",
            f"{number(swapped)} characters read as another, {number(missed)} missed, "
            f"{number(extra)} read where there is none.",
            class_="soft",
        ),
        tag("div", _matrix(confusions), tag("div", _list(confusions)), class_="two")
        if confusions
        else tag("p", "None."),
    )


def _list(confusions: Counter[Confusion]) -> Markup:
    pairs = [
        tag("li", _shown(expected), " → ", _shown(read), tag("span", f" ×{number(count)}",
            class_="soft"))
        for (expected, read), count in _ranked(confusions)[:LISTED]
    ]  # fmt: skip
    left = len(confusions) - len(pairs)
    more = tag("p", f"and {number(left)} rarer ones, in report.json", class_="soft")
    return together(
        tag("h3", "Most frequent, expected → read"),
        tag("ul", *pairs, class_="pairs"),
        more if left > 0 else "",
    )


def _matrix(confusions: Counter[Confusion]) -> Markup:
    """Rows are the label's characters, columns what was read."""
    rows = _worst(confusions, 0)
    columns = _worst(confusions, 1)
    most = max(confusions.values())
    head = tag("tr", tag("th"), *(tag("th", _shown(c)) for c in columns))
    body = [
        tag("tr", tag("th", _shown(r)), *(_cell(r, c, confusions, most) for c in columns))
        for r in rows
    ]
    table = tag("table", head, *body, class_="heat")
    caption = f"Rows: in the label. Columns: as read. {NOTHING}: nothing there."
    return tag(
        "div",
        tag("h3", "The most confused characters"),
        tag("div", table, class_="wide"),
        tag("p", caption, class_="soft"),
    )


def _cell(row: str, column: str, confusions: Counter[Confusion], most: int) -> Markup:
    count = confusions.get((row, column), 0)
    if row == column:
        return tag("td", class_="self")
    if not count:
        return tag("td")
    depth = 0.12 + 0.6 * math.sqrt(count / most)
    return tag("td", number(count), style=f"background:rgb(var(--heat) / {depth:.2f})")


def _worst(confusions: Counter[Confusion], side: int) -> list[str]:
    """The characters with most errors on one side, in code point order, nothing first."""
    totals: Counter[str] = Counter()
    for pair, count in confusions.items():
        totals[pair[side]] += count
    ranked = sorted(totals, key=lambda c: (-totals[c], c))
    return sorted(ranked[:MATRIX_SIZE])


def _ranked(confusions: Counter[Confusion]) -> list[tuple[Confusion, int]]:
    return sorted(confusions.items(), key=lambda item: (-item[1], item[0]))


def _shown(character: str) -> Markup:
    text = shown_character(character) if character else NOTHING
    return tag("bdi", text, class_="text" if character else "soft")
