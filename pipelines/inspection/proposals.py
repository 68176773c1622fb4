"""What the page proposes: a charset, and width buckets."""

from __future__ import annotations

from pipelines.inspection.alphabet import Alphabet, Character
from pipelines.inspection.buckets import BucketChoice
from pipelines.inspection.plots import padding
from pipelines.inspection.result import Inspection
from pipelines.report.document import figure_cell, many, table
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, shown_character, tag, together

MOST_CHARACTERS = 400
_NAMES = {
    "current": "now",
    "proposed": "proposed, none wider than now",
    "unsqueezed": "proposed, squeezing at most 1 in 1000",
}


def charset_section(inspection: Inspection) -> Markup:
    """All characters with their counts, and the charset that they suggest."""
    alphabet = inspection.alphabet
    letters = [_letter(c) for c in alphabet.characters[:MOST_CHARACTERS]]
    left = len(alphabet.characters) - len(letters)
    return tag(
        "section",
        tag("h2", "Characters"),
        tag("p", _said(alphabet), class_="soft"),
        tag("h3", "Proposed charset"),
        tag("code", alphabet.proposed or "none", class_="proposal"),
        tag("h3", "By frequency"),
        tag("ul", *letters, class_="letters"),
        *([tag("p", f"and {number(left)} rarer ones, in report.json", class_="soft")] if left > 0
          else []),
        id="characters",
    )  # fmt: skip


def bucket_section(inspection: Inspection) -> list[Markup]:
    """The contract's buckets and better ones; nothing where pictures are stretched."""
    found = inspection.buckets
    if found is None:
        return []
    three = {"current": found.current, "proposed": found.proposed, "unsqueezed": found.unsqueezed}
    there = {name: buckets for name, buckets in three.items() if buckets}
    figures = ("padded", "squeezed", "labels too long")
    heads = [tag("th", "buckets"), tag("th", "widths, px"),
             *(tag("th", h, class_="n") for h in figures)]  # fmt: skip
    rows = [_row(name, buckets, found.too_long[name]) for name, buckets in there.items()]
    flag = " ".join(["--picture.widths", *map(str, found.proposed.widths)])
    return [
        tag(
            "section",
            tag("h2", "Width buckets"),
            tag("p", "Padded: pixels that the network computes for nothing. Squeezed: pictures "
                "longer than the largest bucket. Labels too long: for the time steps of their "
                "picture's bucket.", class_="soft"),
            table(heads, rows),
            tag("p", "For jobs/train.py: ", tag("code", flag), style="margin-top:12px"),
            tag("div",
                tag("div", tag("h3", "Padding by number of buckets"),
                    padding(found.by_number, found.current),
                    tag("p", "Dots: the best widths. Square: the present ones.", class_="soft")),
                tag("div", tag("h3", "In each bucket"),
                    *(_each(_NAMES[name], buckets) for name, buckets in there.items())),
                class_="two"),
            id="buckets",
        )
    ]  # fmt: skip


def _letter(c: Character) -> Markup:
    notes = []
    if c.like:
        notes.append(f"like {shown_character(c.like)} U+{ord(c.like):04X}")
    if not c.known:
        notes.append("not in the charset")
    if not c.character.isascii() and c.script:
        notes.append(c.script.title())
    kind = "error" if not c.known else "warning" if c.rare or c.like else None
    return tag(
        "li",
        tag("b", tag("bdi", shown_character(c.character))),
        tag("span", f"{number(c.count)}{', rare' if c.rare else ''}"),
        *(tag("span", note) for note in notes),
        class_=kind,
        title=f"U+{ord(c.character):04X}",
    )


def _said(alphabet: Alphabet) -> str:
    out = alphabet.left_out
    left = (
        f" {many(len(out), 'character')} left out, rare or invisible, in "
        f"{many(alphabet.labels_left_out, 'label')}." if out else " Nothing is left out."
    )  # fmt: skip
    named = f" --charset {alphabet.named} has them all." if alphabet.named else ""
    return f"{many(len(alphabet.proposed), 'character')} proposed.{left}{named}"


def _row(name: str, found: BucketChoice, too_long: int) -> Markup:
    return tag(
        "tr",
        tag("td", _NAMES[name], class_="name"),
        tag("td", " ".join(map(str, found.widths)), class_="name"),
        figure_cell(percent(found.padded_share)),
        figure_cell(f"{number(found.squeezed)} ({percent(found.squeezed_share, 2)})"),
        figure_cell(number(too_long)),
    )


def _each(name: str, found: BucketChoice) -> Markup:
    heads = [tag("th", h, class_="n") for h in ("px", "pictures", "padded")]
    rows = [
        tag("tr", figure_cell(str(b.width_px)), figure_cell(number(b.pictures)),
            figure_cell(percent(b.padded_share)))
        for b in found.buckets
    ]  # fmt: skip
    opened = "" if name == _NAMES["proposed"] else None
    return tag("details", tag("summary", together(name)), table(heads, rows), open=opened)
