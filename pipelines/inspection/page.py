"""The page of an inspection: what is wrong first, then how the data is."""

from __future__ import annotations

import unicodedata

from pipelines.inspection.cards import finding_section
from pipelines.inspection.findings_file import FINDINGS_NAME
from pipelines.inspection.kinds import SEVERITIES, Severity
from pipelines.inspection.near import MOST_BITS
from pipelines.inspection.pictures import NEAR_DIFFERENCE, SIGNATURE_HEIGHT
from pipelines.inspection.plots import histogram, spanned
from pipelines.inspection.proposals import bucket_section, charset_section
from pipelines.inspection.result import Finding, Inspection
from pipelines.inspection.settings import AUTO
from pipelines.inspection.style import STYLE
from pipelines.report.document import document, facts, figure_cell, many, table, tile, tiles
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag, together

_HISTOGRAMS = {
    "length": ("Label length", "characters in the label"),
    "width_px": ("Width", "px at the model's height"),
    "aspect": ("Aspect ratio", "width over height"),
    "px_per_character": ("Width of a character", "px a character, at the model's height"),
}


def page(inspection: Inspection) -> str:
    """The whole HTML document."""
    title = "Inspection of " + ", ".join(data.name for data in inspection.sets)
    return document(
        title,
        _heading(inspection, title),
        _tiles(inspection),
        _overview(inspection),
        *(finding_section(inspection, finding) for finding in inspection.findings),
        _sets(inspection),
        _shapes(inspection),
        charset_section(inspection),
        *bucket_section(inspection),
        _settings(inspection),
        style=STYLE,
    )


def _heading(inspection: Inspection, title: str) -> Markup:
    sets = many(len(inspection.sets), "set")
    return together(
        tag("h1", title),
        tag("p", f"{many(inspection.samples, 'sample')} in {sets}, for ",
            tag("code", inspection.config.model.backbone), class_="soft"),
    )  # fmt: skip


def _tiles(inspection: Inspection) -> Markup:
    buckets = inspection.buckets
    padded = (
        tile("padded pixels", percent(buckets.current.padded_share),
             f"{percent(buckets.proposed.padded_share)} with the buckets proposed")
        if buckets else tile("padded pixels", "0%", "pictures are stretched")
    )  # fmt: skip
    alphabet = inspection.alphabet
    rare = sum(c.rare for c in alphabet.characters)
    return tiles(
        _severity_tile(inspection, "error"),
        _severity_tile(inspection, "warning"),
        tile("samples", number(inspection.samples), many(len(inspection.sets), "set")),
        tile("characters", number(len(alphabet.characters)), f"{number(rare)} of them rare"),
        padded,
        tile("copies", number(_count(inspection, "copy", "leak")), "equal to an earlier picture"),
    )


def _severity_tile(inspection: Inspection, severity: Severity) -> Markup:
    found = inspection.of(severity)
    kind = severity if found else "good"
    samples = sum(f.count for f in found if f.kind.unit == "sample")
    note = f"in {many(samples, 'place')}" if samples else "nothing found" if not found else "kinds"
    value = tag("b", number(len(found)))
    name = tag("span", f"kinds of {severity}")
    return tag("div", name, value, tag("span", note), class_=f"tile {kind}")


def _count(inspection: Inspection, *codes: str) -> int:
    return sum(f.count for f in inspection.findings if f.code in codes)


def _overview(inspection: Inspection) -> Markup:
    if not inspection.findings:
        return tag("section", tag("h2", "Findings"), tag("p", "None: nothing is wrong."))
    heads = [tag("th", "finding"), tag("th"), tag("th", "count", class_="n"),
             tag("th", "share", class_="n"), tag("th", "sets")]  # fmt: skip
    rows = [_overview_row(finding) for finding in inspection.findings]
    note = tag(
        "p", "All samples with findings, not only the examples below, are in ",
        tag("code", FINDINGS_NAME), "; crnn prepare --drop leaves them out.", class_="soft",
    )  # fmt: skip
    return tag("section", tag("h2", "Findings"), note, table(heads, rows), class_="overview")


def _overview_row(finding: Finding) -> Markup:
    kind = finding.kind
    return tag(
        "tr",
        tag("td", tag("a", kind.title, href=f"#{finding.code}"), class_="name"),
        tag("td", tag("span", kind.severity, class_=f"chip {kind.severity}")),
        figure_cell(number(finding.count)),
        figure_cell(percent(finding.share, 2)),
        tag("td", ", ".join(finding.by_set), class_="name"),
    )


def _sets(inspection: Inspection) -> Markup:
    heads = [tag("th", "set"), tag("th", "format"), tag("th", "samples", class_="n"),
             *(tag("th", f"{s}s", class_="n") for s in SEVERITIES[:2])]  # fmt: skip
    rows = [
        tag("tr", tag("td", data.name, class_="name"), tag("td", data.format),
            figure_cell(number(samples)),
            *(figure_cell(number(_in_set(inspection, severity, data.name)))
              for severity in SEVERITIES[:2]))
        for data, samples in zip(inspection.sets, inspection.set_samples, strict=True)
    ]  # fmt: skip
    note = "Errors and warnings are counted once for each kind that a sample has."
    return tag("section", tag("h2", "By set"), tag("p", note, class_="soft"), table(heads, rows))


def _in_set(inspection: Inspection, severity: Severity, name: str) -> int:
    found = [f for f in inspection.of(severity) if f.kind.unit == "sample"]
    return sum(f.by_set.get(name, 0) for f in found)


def _shapes(inspection: Inspection) -> Markup:
    plots = []
    for key, (title, axis) in _HISTOGRAMS.items():
        bins = inspection.histograms[key]
        rows = [tag("tr", tag("td", spanned(b)), figure_cell(number(b.samples))) for b in bins]
        heads = [tag("th", axis), tag("th", "samples", class_="n")]
        plots.append(
            tag("div", tag("h3", title), histogram(title, bins, axis),
                tag("details", tag("summary", "As a table"), table(heads, rows)))
        )  # fmt: skip
    return tag("section", tag("h2", "Shapes"), tag("div", *plots, class_="two"))


def _settings(inspection: Inspection) -> Markup:
    config, near = inspection.config, inspection.near
    picture = config.picture
    steps = ", ".join(f"{w} px: {t}" for w, t in inspection.time_steps.items())
    entries = {
        **{f"set {d.name}": d.uri for d in inspection.sets},
        **{f"digest of {d.name}": d.digest for d in inspection.sets if d.digest},
        "charset": "the data's own" if config.charset == AUTO else config.charset,
        "model": config.model.backbone,
        "pictures": f"{picture.height} px high, {picture.channels} channel(s), {picture.mode}, "
        f"{picture.stretch:g} times as wide",
        "time steps": steps,
        "limit": number(config.limit) if config.limit else "none",
        "rare": f"fewer than {config.rare_below} times",
        "near": f"looks (64 bits) within {MOST_BITS} bits, and no point of the pictures, shrunk to "
        f"{SIGNATURE_HEIGHT} px, farther apart than {percent(NEAR_DIFFERENCE, 0)} of the contrast",
        "near pairs": f"{number(near.near)} of {number(near.compared)} compared, of "
        f"{number(near.candidates)} with near looks; {number(near.crowded)} pictures had too many "
        "near looks to compare all",
        "Unicode": unicodedata.unidata_version,
    }
    return tag("section", tag("h2", "What was looked for"), facts(entries))
