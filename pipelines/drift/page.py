"""The page of a drift report: what changed first, then how the rows of each side are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.comparison.page import FAR, distance_cell, side_by_side
from pipelines.comparison.style import STYLE
from pipelines.drift.changes import CHANGES
from pipelines.drift.result import CHARACTERS_SHOWN, Drift
from pipelines.drift.side import SAMPLED, TRAITS
from pipelines.recognition.page import where
from pipelines.report.document import document, facts, figure_cell, many, table, tile, tiles
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, shown_character, tag, together


def page(drift: Drift) -> str:
    """The whole HTML document."""
    first, second = (source.name for source in drift.sources)
    title = f"{second} beside {first}"
    return document(
        title,
        tag("h1", title),
        tag("p", "The rows of two bulk jobs; no picture was read.", class_="soft"),
        _tiles(drift),
        _changes(drift),
        _examples(drift),
        _errors(drift),
        _distances(drift),
        side_by_side([first, second], drift.traits, TRAITS, _sampled(drift)),
        _characters(drift),
        _what(drift),
        style=STYLE,
    )


def _tiles(drift: Drift) -> Markup:
    changes = drift.changes
    shown = [
        tile(source.name, number(side.rows), f"rows, {_share(side.read, side.rows)} read")
        for source, side in zip(drift.sources, drift.sides, strict=True)
    ]
    another = changes.changed["text"]
    return tiles(
        *shown,
        tile("on both sides", number(changes.matched), "pictures"),
        tile("another text", number(another), _share(another, changes.matched), lead=True),
        tile("mean confidence", _means(drift), f"{drift.sources[0].name}, then the other"),
    )


def _means(drift: Drift) -> str:
    return " → ".join(
        "–" if side.mean_confidence is None else f"{side.mean_confidence:.3f}"
        for side in drift.sides
    )


def _changes(drift: Drift) -> Markup:
    changes = drift.changes
    first, second = (source.name for source in drift.sources)
    counts = {
        "the same text": changes.same_text,
        **{name: changes.changed[kind] for kind, name in CHANGES.items()},
    }
    rows = [
        tag("tr", tag("td", name, class_="name"), figure_cell(number(count)),
            figure_cell(_share(count, changes.matched)))
        for name, count in counts.items()
    ]  # fmt: skip
    heads = [tag("th", "pictures on both sides"), *_counts("pictures")]
    notes = [
        f"{many(changes.only_first, 'picture')} only in {first}, {number(changes.only_second)} "
        f"only in {second}."
    ]
    if changes.other_version:
        notes.append(
            f"{many(changes.other_version, 'picture')} of those on both sides were another version "
            f"of the file (by its etag); {number(changes.changed_of_other_version)} of the changes "
            "are theirs."
        )
    if drift.confidence_moved is not None:
        notes.append(
            f"Where the text is the same, the confidence moved by {drift.confidence_moved:+.4f} on "
            "average."
        )
    return tag("section", tag("h2", "The same pictures"), tag("p", " ".join(notes), class_="soft"),
               table(heads, rows))  # fmt: skip


def _examples(drift: Drift) -> Markup:
    examples = drift.changes.examples
    if not examples:
        return together()
    heads = [tag("th", "picture"), *(tag("th", source.name) for source in drift.sources),
             tag("th", "confidence", class_="n")]  # fmt: skip
    rows = [
        tag("tr", tag("td", tag("bdi", where(row)), class_="name"),
            *(tag("td", tag("bdi", row[f"{side}_text"]), class_="name")
              for side in ("first", "second")),
            figure_cell(_confidences(row)))
        for row in examples
    ]  # fmt: skip
    note = (
        "Texts far apart that both sides are sure of come first. changed.parquet has every "
        "picture whose reading changed."
    )
    return tag("section", tag("h2", "Texts that changed"), tag("p", note, class_="soft"),
               table(heads, rows))  # fmt: skip


def _confidences(row: Mapping[str, Any]) -> str:
    known = (row["first_confidence"], row["second_confidence"])
    return " → ".join("–" if one is None else f"{one:.2f}" for one in known)


def _errors(drift: Drift) -> Markup:
    codes = sorted({code for side in drift.sides for code in side.errors})
    if not codes:
        return tag("section", tag("h2", "Errors by code"), tag("p", "None on either side."))
    heads = [tag("th", "code"),
             *(tag("th", source.name, class_="n") for source in drift.sources),
             *(tag("th", "share", class_="n") for _ in drift.sources)]  # fmt: skip
    rows = [
        tag("tr", tag("td", tag("code", code)),
            *(figure_cell(number(side.errors[code])) for side in drift.sides),
            *(figure_cell(_share(side.errors[code], side.rows)) for side in drift.sides))
        for code in codes
    ]  # fmt: skip
    return tag("section", tag("h2", "Errors by code"), table(heads, rows))


def _distances(drift: Drift) -> Markup:
    means = (f"mean, {source.name}" for source in drift.sources)
    heads = [tag("th", "trait"), *(tag("th", name, class_="n") for name in ("distance", *means))]
    rows = [
        tag("tr", tag("td", tag("a", TRAITS[name].title, href=f"#{name}"), class_="name"),
            distance_cell(report.sets[1]),
            *(figure_cell("–" if s.mean is None else f"{s.mean:.3g}") for s in report.sets))
        for name, report in drift.traits.items()
    ]  # fmt: skip
    note = (
        f"1-Wasserstein (earth mover's) distance from {drift.sources[0].name}, in its standard "
        f"deviations. 0: alike; above {FAR:g} in red."
    )
    unknown = [tag("p", f"{sentence}.", class_="soft") for sentence in drift.unknown]
    return tag("section", tag("h2", "How far apart"), tag("p", note, class_="soft"),
               table(heads, rows), *unknown)  # fmt: skip


def _sampled(drift: Drift) -> str:
    if all(side.sampled == side.rows for side in drift.sides):
        return "Of all rows."
    counts = " and ".join(number(side.sampled) for side in drift.sides)
    return (
        f"Of {counts} rows: beyond {number(SAMPLED)}, the distributions are those of a sample, "
        "the same pictures on both sides."
    )


def _characters(drift: Drift) -> Markup:
    heads = [tag("th", "character"),
             *(tag("th", source.name, class_="n") for source in drift.sources),
             tag("th", "change, points", class_="n")]  # fmt: skip
    rows = [
        tag("tr", tag("td", tag("bdi", shown_character(one.character))),
            figure_cell(percent(one.first, 3)), figure_cell(percent(one.second, 3)),
            figure_cell(f"{100 * (one.second - one.first):+.3f}"))
        for one in drift.characters[:CHARACTERS_SHOWN]
        if one.first != one.second
    ]  # fmt: skip
    distance = drift.character_distance
    if not rows or distance is None:
        return together()
    note = (
        "Shares of all characters read; those whose share changed most. Total variation distance "
        f"{distance:.4f}: 0 is alike, 1 has nothing in common."
    )
    return tag("section", tag("h2", "Characters"), tag("p", note, class_="soft"),
               table(heads, rows))  # fmt: skip


def _what(drift: Drift) -> Markup:
    entries = {}
    for source, side in zip(drift.sources, drift.sides, strict=True):
        entries[source.name] = source.uri
        for digest, rows in side.models.most_common():
            entries[f"rows of {source.name} by model {digest[:12]}"] = number(rows)
    repeated = (drift.changes.repeated_first, drift.changes.repeated_second)
    for source, count in zip(drift.sources, repeated, strict=True):
        if count:
            entries[f"rows of {source.name} of a picture with a later row"] = number(count)
    return tag("section", tag("h2", "What was compared"), facts(entries))


def _counts(noun: str) -> list[Markup]:
    return [tag("th", noun, class_="n"), tag("th", "share", class_="n")]


def _share(count: int, total: int) -> str:
    return percent(count / total) if total else "–"
