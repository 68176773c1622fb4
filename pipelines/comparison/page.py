"""The page of a comparison: the distances first, then every trait's histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.comparison.distance import BEYOND
from pipelines.comparison.plots import histograms
from pipelines.comparison.result import PERCENTILES, Comparison, Summary, TraitReport
from pipelines.comparison.style import STYLE
from pipelines.comparison.traits import TRAITS, Trait
from pipelines.report.document import document, facts, figure_cell, many, table, tile, tiles
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag, together

FAR = 0.5
"""A distance from which on it stands out on the page."""


def page(comparison: Comparison) -> str:
    """The whole HTML document."""
    names = [data.name for data in comparison.sets]
    title = f"{names[0]} beside {', '.join(names[1:])}"
    return document(
        title,
        tag("h1", title),
        tag("p", many(sum(comparison.samples), "picture"), " measured in ",
            many(len(names), "set"), class_="soft"),
        _tiles(comparison),
        _distances(comparison),
        _plots(comparison),
        _skipped(comparison),
        _measured(comparison),
        style=STYLE,
    )  # fmt: skip


def _tiles(comparison: Comparison) -> Markup:
    first, *others = comparison.sets
    shown = [tile(first.name, number(comparison.samples[0]), "pictures, what others are beside")]
    for place, data in enumerate(others, start=1):
        mean = comparison.mean_distance(place)
        note = f"mean distance, {many(comparison.samples[place], 'picture')}"
        shown.append(tile(data.name, _distance(mean), note, lead=True))
    return tiles(*shown)


def _distances(comparison: Comparison) -> Markup:
    first, *others = [data.name for data in comparison.sets]
    heads = [tag("th", "trait"), *(tag("th", name, class_="n") for name in others),
             *(tag("th", f"{name}: uncovered", class_="n") for name in others)]  # fmt: skip
    rows = [
        tag("tr", tag("td", tag("a", TRAITS[name].title, href=f"#{name}"), class_="name"),
            *(distance_cell(summary) for summary in report.sets[1:]),
            *(figure_cell(_share(summary.uncovered)) for summary in report.sets[1:]))
        for name, report in comparison.traits.items()
    ]  # fmt: skip
    note = (
        "1-Wasserstein (earth mover's) distance from ", tag("b", first), ", in its standard "
        "deviations: how far values must be moved on average. 0: alike; above ",
        f"{FAR:g} in red. Uncovered: share of ", tag("b", first), " beyond the middle "
        f"{BEYOND[1] - BEYOND[0]}% of the set; about {100 - BEYOND[1] + BEYOND[0]}% where both are "
        "alike, less where the set is wider.",
    )  # fmt: skip
    return tag("section", tag("h2", "How far apart"), tag("p", *note, class_="soft"),
               table(heads, rows), class_="distances")  # fmt: skip


def distance_cell(summary: Summary) -> Markup:
    """A distance, in red where it is far."""
    far = summary.distance is not None and summary.distance > FAR
    text = _distance(summary.distance)
    return tag("td", tag("span", text, class_="far") if far else text, class_="n")


def _plots(comparison: Comparison) -> Markup:
    names = [data.name for data in comparison.sets]
    return side_by_side(names, comparison.traits, TRAITS)


def side_by_side(
    names: Sequence[str],
    reports: Mapping[str, TraitReport],
    traits: Mapping[str, Trait],
    note: str = "",
) -> Markup:
    """Every trait's histograms, with a legend of the ``names`` of what is compared."""
    plots = [plot(names, name, traits[name], report) for name, report in reports.items()]
    notes = [tag("p", note, class_="soft")] if note else []
    return tag("section", tag("h2", "Side by side"), *notes, _legend(names),
               tag("div", *plots, class_="two"))  # fmt: skip


def _legend(names: Sequence[str]) -> Markup:
    entries = []
    for place, name in enumerate(names):
        line = tag("line", class_=f"outline set{place}", x1=0, y1=5, x2=22, y2=5)
        key = tag("svg", line, viewBox="0 0 22 10", aria_hidden="true")
        entries.append(tag("li", key, name))
    return tag("ul", *entries, class_="legend")


def plot(names: Sequence[str], anchor: str, trait: Trait, report: TraitReport) -> Markup:
    """One trait's histograms, how it is measured, and its percentiles."""
    heads = [tag("th", trait.axis), tag("th", "samples", class_="n"),
             *(tag("th", f"{p}%", class_="n") for p in PERCENTILES)]  # fmt: skip
    rows = [
        tag("tr", tag("td", set_name, class_="name"), figure_cell(number(summary.samples)),
            *(figure_cell(f"{value:.3g}") for value in summary.percentiles))
        for set_name, summary in zip(names, report.sets, strict=True)
    ]  # fmt: skip
    return tag(
        "div",
        tag("h3", trait.title),
        histograms(trait.title, names, report, trait.axis),
        tag("p", trait.method, class_="soft"),
        tag("details", tag("summary", "Percentiles"), table(heads, rows)),
        class_="trait",
        id=anchor,
    )


def _skipped(comparison: Comparison) -> Markup:
    rows = [
        tag("tr", tag("td", data.name, class_="name"), tag("td", tag("code", reason)),
            figure_cell(number(count)))
        for data, reasons in zip(comparison.sets, comparison.skipped, strict=True)
        for reason, count in sorted(reasons.items())
    ]  # fmt: skip
    if not rows:
        return together()
    heads = [tag("th", "set"), tag("th", "reason"), tag("th", "samples", class_="n")]
    return tag("section", tag("h2", "Not measured"), table(heads, rows), class_="skipped")


def _measured(comparison: Comparison) -> Markup:
    config = comparison.config
    entries = {
        **{f"set {data.name}": data.uri for data in comparison.sets},
        **{f"digest of {data.name}": data.digest for data in comparison.sets if data.digest},
        "limit": f"the first {number(config.limit)} of each" if config.limit else "none",
        "measured at": f"{config.height} px of height: sharpness, angles and room",
    }
    return tag("section", tag("h2", "What was measured"), facts(entries))


def _distance(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)
