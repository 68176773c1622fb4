"""The page of a bulk job: what was read, what failed and why, and what to look at first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from pipelines.report import charts
from pipelines.report.document import document, facts, figure_cell, many, moment, table, tile, tiles
from pipelines.report.figures import duration, number, percent, rate
from pipelines.report.markup import Markup, tag, together
from pipelines.report.readings import LEGEND, characters, reading
from pipelines.report.thumbnail import data_uri, thumbnail

Region = Sequence[float] | None
"""Four corners ``x, y``, clockwise from the top left, in px of the upright picture."""
PictureOf = Callable[[str, Region], Image.Image | None]
"""The upright picture at an address, or the region cut out of it; None where there is none."""

_STYLE = """
.card summary { padding: 0 12px; } .card details { margin: 0 0 10px; }
.card .pairs { padding: 8px 12px 0; }
.none { color: var(--soft); font-size: .85rem; }
"""


def page(report: Mapping[str, Any], picture: PictureOf) -> str:
    """The whole HTML document of a report of ``summary.summarise``."""
    title = f"Bulk recognition with {report['model']['name']}"
    return document(
        title,
        _heading(report, title),
        _tiles(report),
        _errors(report),
        _readings(report),
        _gallery(report, picture),
        _what(report),
        style=_STYLE,
    )


def _heading(report: Mapping[str, Any], title: str) -> Markup:
    when = report["run"]["finished"]
    note = f"finished {moment(when)} · " if when else ""
    digest = tag("code", report["model"]["digest"][:12])
    return together(tag("h1", title), tag("p", f"{note}model ", digest, class_="soft"))


def _tiles(report: Mapping[str, Any]) -> Markup:
    rows, read, run = report["rows"], report["read"], report["run"]
    what = "pages" if "pages" in run else "pictures"
    speed, took = run[f"{what}_per_s"], f"{number(run[what])} in this run"
    return tiles(
        tile("lines" if "pages" in run else what, number(rows), "one row each", lead=True),
        tile("read", number(read), _share(read, rows)),
        tile("errors", number(rows - read), _share(rows - read, rows)),
        tile("no text found", number(report["empty_texts"]), _share(report["empty_texts"], rows)),
        tile(f"{what} a second", rate(math.nan if speed is None else speed), took),
        tile("reading took", duration(run["seconds"]) if speed else "–", "of this run"),
    )


def _errors(report: Mapping[str, Any]) -> Markup:
    total = sum(report["errors"].values())
    parts: list[Markup] = []
    for code, count in report["errors"].items():
        examples = report["error_examples"][code]
        shown = f"the first {len(examples)}" if count > len(examples) else "all"
        note = f"{number(count)}, {_share(count, report['rows'])}"
        parts.append(
            tag("details", tag("summary", tag("code", code), f" {note} – {shown}"),
                _error_table(examples), open="" if len(report["errors"]) == 1 else None)
        )  # fmt: skip
    lead = f"{many(total, 'picture')} could not be read. Each has a row with its error code."
    return tag(
        "section",
        tag("h2", "Errors by code"),
        *([tag("p", lead, class_="soft"), *parts] if parts else [tag("p", "None.")]),
    )


def _error_table(examples: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        tag("tr", tag("td", tag("bdi", where(e)), class_="name"),
            tag("td", e["message"] or "", class_="name"))
        for e in examples
    ]  # fmt: skip
    return table([tag("th", "picture"), tag("th", "why")], rows)


def _readings(report: Mapping[str, Any]) -> Markup:
    return tag("section", tag("div", _confidence(report), _lengths(report), class_="two"))


def _confidence(report: Mapping[str, Any]) -> Markup:
    counts = report["confidence_histogram"]
    step = 1 / len(counts)
    names = [f"{percent(i * step, 0)} – {percent((i + 1) * step, 0)}" for i in range(len(counts))]
    return tag(
        "div",
        tag("h2", "Confidence"),
        tag("p", "The probability that a whole text is right, as the model judges it.",
            class_="soft"),
        charts.histogram(counts),
        _as_table("confidence", dict(zip(names, counts, strict=True))),
    )  # fmt: skip


def _lengths(report: Mapping[str, Any]) -> Markup:
    counts = {int(length): count for length, count in report["length_histogram"].items()}
    return tag(
        "div",
        tag("h2", "Length of the texts"),
        tag("p", "In characters; 0 is a picture in which none was found.", class_="soft"),
        charts.lengths(counts),
        _as_table("characters", {str(length): count for length, count in counts.items()}),
    )


def _as_table(name: str, counts: Mapping[str, int]) -> Markup:
    total = sum(counts.values())
    rows = [
        tag("tr", tag("td", key), figure_cell(number(count)), figure_cell(_share(count, total)))
        for key, count in counts.items()
    ]
    heads = [tag("th", name), tag("th", "readings", class_="n"), tag("th", "share", class_="n")]
    return tag("details", tag("summary", "As a table"), table(heads, rows))


def _gallery(report: Mapping[str, Any], picture: PictureOf) -> Markup:
    doubtful = report["least_confident"]
    cards = [_card(entry, picture) for entry in doubtful]
    return tag(
        "section",
        tag("h2", "Least confident"),
        tag("p", f"{LEGEND} jobs/review.py makes a page to correct such readings.", class_="soft")
        if cards
        else tag("p", "None: nothing was read."),
        tag("div", *cards, class_="cards"),
    )


def _card(entry: Mapping[str, Any], picture: PictureOf) -> Markup:
    image = picture(entry["uri"], entry["region"])
    shown = (
        tag("span", "no picture to show", class_="none")
        if image is None
        else tag("img", src=data_uri(thumbnail(image)), alt="the picture")
    )
    chars = entry["chars"]
    return tag(
        "div",
        tag("div", shown, class_="picture"),
        tag("dl", tag("dt", "read"), tag("dd", reading(entry["text"], chars))),
        tag("p", f"{percent(entry['confidence'])} sure", tag("br"), tag("bdi", where(entry)),
            class_="soft"),
        *([tag("details", tag("summary", "by character"), characters(chars))] if chars else []),
        class_="card",
    )  # fmt: skip


def _what(report: Mapping[str, Any]) -> Markup:
    run = report["run"]
    times = {"began": run["started"], "finished": run["finished"]}
    entries = {
        "results": report["results"],
        "files": number(report["files"]),
        "model": report["model"]["name"],
        "digest, SHA-256": report["model"]["digest"],
        **_read_by(report),
        **{name: moment(when) for name, when in times.items() if when},
    }
    return tag("section", tag("h2", "What was run"), facts(entries))


def _read_by(report: Mapping[str, Any]) -> dict[str, str]:
    """For a cascade, the number of readings of each bundle."""
    bundles = report["read_by"]
    if len(bundles) < 2:
        return {}
    return {
        f"read by {one['name']}, {one['digest'][:12]}": (
            f"{number(one['read'])}, {_share(one['read'], report['read'])}"
        )
        for one in bundles
    }


def where(entry: Mapping[str, Any]) -> str:
    """Address, page after the first one, and the box around the region."""
    region, page = entry["region"], entry.get("page") or 1
    place = f"{entry['uri']}, page {page}" if page > 1 else str(entry["uri"])
    if not region:
        return place
    if len(region) != 8 or None in region:
        return f"{place} {region}"
    xs, ys = region[0::2], region[1::2]
    return f"{place} [{min(xs):g}, {min(ys):g} – {max(xs):g}, {max(ys):g}]"


def _share(count: int, total: int) -> str:
    return percent(count / total) if total else "–"
