"""The page of two bundles on the same samples: the tests first, then what they read differently."""

from __future__ import annotations

import pyarrow as pa

from pipelines.comparison.style import STYLE
from pipelines.evaluation.paired import CHARACTERS, LEVEL, RESAMPLES, Paired, Tests
from pipelines.report.document import document, facts, figure_cell, many, table
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag, together

_SHOWN = 50
_TITLES = {"exact": "exact", "alnum": "0-9 a-z", CHARACTERS: "character errors"}


def page(
    *,
    names: tuple[str, str],
    bundles: tuple[str, str],
    tests: Tests,
    changed: pa.Table,
    uris: tuple[str, str],
) -> str:
    """The whole HTML document.

    Args:
        names: of the evaluations.
        bundles: names and digests.
        tests: of ``paired_tests``.
        changed: samples that the two read differently, the most telling ones first.
        uris: of the evaluations.
    """
    title = f"{names[1]} beside {names[0]}"
    entries = {f"bundle of {name}": one for name, one in zip(names, bundles, strict=True)}
    entries |= {f"evaluation {name}": uri for name, uri in zip(names, uris, strict=True)}
    return document(
        title,
        tag("h1", title),
        tag("p", "Two bundles on the same labelled samples.", class_="soft"),
        _tests(names, tests),
        _changed(names, changed),
        tag("section", tag("h2", "What was compared"), facts(entries)),
        style=STYLE,
    )


def _tests(names: tuple[str, str], tests: Tests) -> Markup:
    heads = [tag("th", "set"), tag("th", "measure"),
             *(tag("th", name, class_="n")
               for name in (*names, "difference, points", "95% interval", f"only {names[0]}",
                            f"only {names[1]}", "p")),
             tag("th", "better")]  # fmt: skip
    rows = [
        _row(names, set_name, measure, test)
        for set_name, of_set in tests.items()
        for measure, test in of_set.items()
    ]
    note = (
        f"p: chance of a difference as great if both were equally good; of right readings by "
        "McNemar's exact test over the samples that one alone has right, of character errors by a "
        f"bootstrap. Intervals: {RESAMPLES:,} resamples of the groups of samples. One is called "
        f"better where p is below {LEVEL:g} and the interval leaves out 0. McNemar's test takes "
        "samples for independent, so where groups have many samples look at the interval."
    )
    return tag("section", tag("h2", "Which is better"), tag("p", note, class_="soft"),
               table(heads, rows))  # fmt: skip


def _row(names: tuple[str, str], set_name: str, measure: str, test: Paired) -> Markup:
    low, high = (f"{100 * end:+.2f}" for end in test.interval)
    only = ["–" if one is None else number(one) for one in (test.only_first, test.only_second)]
    better = tag("b", names[test.better - 1]) if test.better else "not shown"
    figures = (
        percent(test.first / test.count, 2),
        percent(test.second / test.count, 2),
        f"{100 * test.difference:+.2f}",
        f"{low} to {high}",
        *only,
        f"{test.p_value:.2g}",
    )
    return tag("tr", tag("td", set_name, class_="name"), tag("td", _TITLES[measure]),
               *map(figure_cell, figures), tag("td", better))  # fmt: skip


def _changed(names: tuple[str, str], changed: pa.Table) -> Markup:
    if not len(changed):
        return tag("section", tag("h2", "Samples read differently"), tag("p", "None."))
    heads = [tag("th", name) for name in ("sample", "label", *names)]
    rows = [
        tag("tr", tag("td", tag("bdi", f"{row['set']}: {row['id']}"), class_="name"),
            *(tag("td", tag("bdi", text or ""), class_="name") for text in (
                row["label"], row["first_text"], row["second_text"])))
        for row in changed.slice(0, _SHOWN).to_pylist()
    ]  # fmt: skip
    note = f"{many(len(changed), 'sample')}; changed.parquet has all of them. First those that "
    return tag("section", tag("h2", "Samples read differently"),
               tag("p", together(note, "one alone has right."), class_="soft"),
               table(heads, rows))  # fmt: skip
