"""The page of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping

from crnn.text.metrics import Sums, wilson_interval
from pipelines.evaluation.losses import Losses
from pipelines.evaluation.result import Evaluation
from pipelines.report import charts
from pipelines.report.confusions import confusion_section
from pipelines.report.document import document, facts, figure_cell, many, moment, table, tile, tiles
from pipelines.report.figures import duration, interval, number, percent, rate
from pipelines.report.gallery import gallery_section, problem_section
from pipelines.report.lost import lost_section
from pipelines.report.markup import Markup, tag, together


def page(evaluation: Evaluation, lost: Losses | None = None) -> str:
    """The whole HTML document."""
    title = f"Evaluation of {evaluation.bundle_name}"
    return document(
        title,
        _heading(evaluation, title),
        _tiles(evaluation),
        _sets(evaluation),
        *([lost_section(lost)] if lost else []),
        _lengths(evaluation),
        _confidence(evaluation),
        confusion_section(evaluation.confusions),
        gallery_section(evaluation),
        problem_section(evaluation),
        _run(evaluation),
    )


def _heading(evaluation: Evaluation, title: str) -> Markup:
    return together(
        tag("h1", title),
        tag("p", f"{moment(evaluation.started)} · decoder {evaluation.decoder} · ",
            tag("code", evaluation.bundle_digest[:12]), class_="soft"),
    )  # fmt: skip


def _tiles(evaluation: Evaluation) -> Markup:
    total = evaluation.total
    exact = interval(wilson_interval(total.exact, total.count))
    letters = _interval(total.letters_exact, total.letters_count)
    alnum = _interval(total.alnum_exact, total.alnum_count)
    return tiles(
        tile("exactly right", percent(total.exact_accuracy), exact, lead=True),
        tile("letters and digits", percent(total.letters_accuracy), letters),
        tile("0-9 a-z, as benchmarks", percent(total.alnum_accuracy), alnum),
        tile("character error rate", percent(total.character_error_rate, 2),
             f"{number(total.edits)} edits in {number(total.characters)}"),
        tile("edit similarity", percent(total.normalised_edit_similarity, 2), "mean of readings"),
        tile("samples", number(total.count), many(len(evaluation.sets), "set")),
        tile("pictures a second", rate(evaluation.images_per_s),
             f"{duration(evaluation.seconds)} in all"),
    )  # fmt: skip


def _sets(evaluation: Evaluation) -> Markup:
    rows: Mapping[str, Sums] = evaluation.by_set
    if len(rows) > 1:
        rows = {**rows, "all": evaluation.total}
    return tag(
        "section",
        tag("h2", "By set"),
        tag(
            "p",
            "95% are Wilson intervals. letters: right in letters and digits of any script, in "
            "any case; 0-9 a-z: in these alone, as the scene-text benchmarks count. Labels without "
            "any of them don't count there.",
            class_="soft",
        ),
        _table("set", rows),
    )


def _lengths(evaluation: Evaluation) -> Markup:
    sums = evaluation.by_length
    return tag(
        "section",
        tag("h2", "By label length"),
        tag("p", "Exact accuracy with 95% intervals; the bars behind are counts.", class_="soft"),
        charts.by_length(sums),
        tag(
            "details",
            tag("summary", "As a table"),
            _table("length", {str(n): s for n, s in sums.items()}),
        ),
    )


def _table(name: str, rows: Mapping[str, Sums]) -> Markup:
    heads = ["samples", "exact", "95%", "", "letters", "95%", "0-9 a-z", "95%"]
    heads += ["CER", "similarity"]
    cells = [tag("th", name), *(tag("th", h, class_="n" if h else None) for h in heads)]
    return table(cells, [_row(key, sums) for key, sums in rows.items()])


def _row(name: str, sums: Sums) -> Markup:
    exact = wilson_interval(sums.exact, sums.count)
    return tag(
        "tr",
        tag("td", name, class_="name"),
        figure_cell(number(sums.count)),
        figure_cell(percent(sums.exact_accuracy)),
        figure_cell(interval(exact)),
        tag("td", charts.band(sums.exact_accuracy, exact)),
        figure_cell(percent(sums.letters_accuracy)),
        figure_cell(_interval(sums.letters_exact, sums.letters_count)),
        figure_cell(percent(sums.alnum_accuracy)),
        figure_cell(_interval(sums.alnum_exact, sums.alnum_count)),
        figure_cell(percent(sums.character_error_rate, 2)),
        figure_cell(percent(sums.normalised_edit_similarity, 2)),
    )


def _interval(right: int, count: int) -> str:
    """A 95% interval; a dash where nothing was counted."""
    return interval(wilson_interval(right, count)) if count else "–"


def _confidence(evaluation: Evaluation) -> Markup:
    bins = evaluation.confidence_bins
    error = percent(evaluation.expected_calibration_error, 2)
    calibration = evaluation.calibration
    return tag(
        "section",
        tag("h2", "Confidence"),
        tag(
            "p",
            f"Expected calibration error {error}: how far, on average, confidence and the share "
            f"of right readings lie apart. Calibration: slope {calibration.slope:.3g}, bias "
            f"{calibration.bias:.3g}.",
            class_="soft",
        ),
        tag(
            "div",
            tag("div", tag("h3", "Share of right readings"), charts.reliability(bins)),
            tag("div", tag("h3", "Readings by confidence"),
                charts.histogram([b.count for b in bins])),
            class_="two",
        ),
    )  # fmt: skip


def _run(evaluation: Evaluation) -> Markup:
    entries = {
        "bundle": evaluation.bundle_uri,
        "weights, SHA-256": evaluation.bundle_digest,
        "decoder": evaluation.decoder,
        "lexicon": many(evaluation.lexicon_words, "word") if evaluation.lexicon_words else "none",
        "engine": ", ".join(evaluation.engines),
        "samples": _which(evaluation),
        **{f"data {name}": info.uri for name, info in evaluation.sets.items()},
        **{f"digest of {name}": info.digest for name, info in evaluation.sets.items()},
        "began": evaluation.started,
        "took": duration(evaluation.seconds),
    }
    return tag("section", tag("h2", "What was run"), facts(entries))


def _which(evaluation: Evaluation) -> str:
    share, limit = evaluation.held_out_share, evaluation.limit
    which = f"the held-out {percent(share, 2)}" if share else "all"
    return f"{which}, at most {number(limit)} of each set" if limit else which
