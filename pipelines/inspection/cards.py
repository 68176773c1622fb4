"""A finding on the page: what it means, what to do, and its pictures."""

from __future__ import annotations

from typing import Any

from pipelines.inspection.again import ShownSample
from pipelines.inspection.labels import is_unseen
from pipelines.inspection.result import Finding, Inspection
from pipelines.inspection.tally import Example, Ref
from pipelines.report.document import figure_cell, many, table
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, shown_character, tag, together
from pipelines.report.thumbnail import data_uri

MOST_LISTED = 60
_INPUTS = {"id": "input", "set": "set", "reason": "reason", "message": "why"}


def finding_section(inspection: Inspection, finding: Finding) -> Markup:
    """The whole section of one kind of finding."""
    kind = finding.kind
    shared = f"{percent(finding.share, 2)} of {number(finding.of)}"
    return tag(
        "section",
        tag("h2", tag("span", kind.severity, class_=f"chip {kind.severity}"), kind.title,
            tag("span", f"{many(finding.count, kind.unit)}, {shared}", class_="count")),
        tag("p", kind.meaning, class_="soft"),
        tag("p", tag("b", "What to do: "), kind.remedy, class_="remedy"),
        tag("div", *(_card(inspection, e) for e in finding.examples), class_="cards"),
        *_more(finding),
        id=finding.code,
        class_="finding",
    )  # fmt: skip


def label(text: str) -> Markup:
    """A text with what can't be seen in it spelled out."""
    if not text:
        return tag("i", "nothing", class_="soft")
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    parts = []
    for place, character in enumerate(text):
        at_end = not first <= place < last
        neighbours = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        doubled = character == " " and " " in neighbours
        if is_unseen(character):
            parts.append(tag("span", f"U+{ord(character):04X}", class_="unseen"))
        elif character.isspace() and (at_end or doubled):
            parts.append(tag("span", shown_character(character), class_="unseen"))
        else:
            parts.append(together(character))
    return tag("bdi", *parts, class_="text")


def _card(inspection: Inspection, example: Example) -> Markup:
    samples = [_sample(inspection, ref) for ref in example.refs]
    message = [tag("p", label(example.message), class_="message")] if example.message else []
    return tag("div", *message, tag("div", *samples, class_="samples"), class_="card")


def _sample(inspection: Inspection, ref: Ref) -> Markup:
    shown = inspection.shown[ref]
    place = f"{inspection.sets[ref.set].name} · {shown.id}"
    return tag(
        "div",
        tag("div", _picture(shown), class_="picture"),
        tag("p", label(shown.text), tag("br"), tag("span", place, class_="soft")),
        class_="sample",
    )


def _picture(shown: ShownSample) -> Markup:
    if not shown.small:
        return tag("span", "no picture", class_="none")
    size = f"{shown.size[0]}x{shown.size[1]} px" if shown.size else ""
    return tag("img", src=data_uri(shown.small), alt="the picture", title=size)


def _more(finding: Finding) -> list[Markup]:
    """What else is known of it."""
    details = finding.details
    parts = []
    if len(finding.by_set) > 1:
        parts.append(_counts("set", finding.by_set))
    if len(details.get("reasons", ())) > 0:
        parts.append(_counts("reason", details["reasons"]))
    if details.get("equal_bytes"):
        parts.append(tag("p", f"{number(details['equal_bytes'])} of them are equal byte for byte.",
                         class_="soft"))  # fmt: skip
    if "labels_by_character" in details:
        parts.append(_counts("character", details["labels_by_character"]))
    if "characters" in details and len(details["characters"]) > len(finding.examples):
        parts.append(_characters(details["characters"]))
    if details.get("inputs"):
        parts.append(_inputs(details["inputs"], finding.count))
    return parts


def _counts(name: str, counts: dict[str, int]) -> Markup:
    heads = [tag("th", name), tag("th", "count", class_="n")]
    rows = [
        tag("tr", tag("td", label(key), class_="name"), figure_cell(number(count)))
        for key, count in list(counts.items())[:MOST_LISTED]
    ]
    return tag("details", tag("summary", f"By {name}"), table(heads, rows))


def _characters(messages: dict[str, str]) -> Markup:
    rows = [
        tag("tr", tag("td", tag("bdi", shown_character(c), class_="text")),
            tag("td", f"U+{ord(c):04X}"), tag("td", message, class_="name"))
        for c, message in list(messages.items())[:MOST_LISTED]
    ]  # fmt: skip
    heads = [tag("th", "character"), tag("th", "code point"), tag("th", "what")]
    return tag("details", tag("summary", "All of them"), table(heads, rows))


def _inputs(inputs: list[dict[str, Any]], count: int) -> Markup:
    rows = [
        tag("tr", *(tag("td", tag("bdi", entry[key]), class_="name") for key in _INPUTS))
        for entry in inputs
    ]
    heads = [tag("th", name) for name in _INPUTS.values()]
    title = f"The first {len(inputs)} of {number(count)}" if count > len(inputs) else "Which ones"
    return tag("details", tag("summary", title), table(heads, rows), open="")
