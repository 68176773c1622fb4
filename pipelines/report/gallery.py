"""The worst mistakes with their pictures, and the samples no model could have read right."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from crnn.text.charset import normalise
from pipelines.evaluation.result import Evaluation
from pipelines.evaluation.tally import Mistake, OutOfReach
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, tag, together
from pipelines.report.thumbnail import data_uri

REASONS = {
    "empty_label": "The label has no text: training sets such samples aside, preparing too.",
    "unknown_character": "The label has a character that the bundle's charset lacks.",
    "too_long_for_width": "The label needs more time steps than a picture of this width has.",
    "undecodable": "The file is no readable picture.",
    "empty_file": "The file has no bytes.",
    "empty_picture": "The picture has no pixels.",
    "too_large": "The picture has more pixels than are accepted.",
    "non_finite_pixels": "The picture has NaN or infinite pixels.",
}
_OUT_OF_REACH = (
    "They count as samples above; none can be exactly right, but an empty label read as nothing."
)


def gallery_section(evaluation: Evaluation) -> Markup:
    """Wrong readings: the surest ones, then the ones farthest from their label."""
    if not evaluation.most_confident_mistakes:
        return tag("section", tag("h2", "Worst mistakes"), tag("p", "None: nothing was misread."))
    return tag(
        "section",
        tag("h2", "Most confident mistakes"),
        tag("p", "Look at the label too: it may be the one that is wrong.", class_="soft"),
        _cards(evaluation.most_confident_mistakes),
        tag("h2", "Mistakes farthest from the label", style="margin-top:28px"),
        tag("p", "By edits: characters to change, add or remove.", class_="soft"),
        _cards(evaluation.most_distant_mistakes),
    )


def problem_section(evaluation: Evaluation) -> Markup:
    """Samples that count as wrong for a known reason, and what preparation had set aside."""
    counts = evaluation.problems.most_common()
    parts = [
        together(
            tag("h3", f"{reason}: {number(count)}"),
            tag("p", REASONS.get(reason, ""), class_="soft"),
            _problem_table([p for p in evaluation.problem_examples if p.reason == reason], count),
        )
        for reason, count in counts
    ]
    return tag(
        "section",
        tag("h2", "Samples out of reach"),
        tag("p", _OUT_OF_REACH, class_="soft"),
        *(parts or [tag("p", "None.")]),
        *_prepared_rejects(evaluation),
    )


def _cards(mistakes: Sequence[Mistake]) -> Markup:
    return tag("div", *map(_card, mistakes), class_="cards")


def _card(mistake: Mistake) -> Markup:
    label, text = marked(mistake.label, mistake.text)
    edits = "1 edit" if mistake.edits == 1 else f"{mistake.edits} edits"
    return tag(
        "div",
        tag("div", tag("img", src=data_uri(mistake.picture), alt="the picture"), class_="picture"),
        tag("dl", tag("dt", "label"), tag("dd", tag("bdi", label, class_="text")),
            tag("dt", "read"), tag("dd", tag("bdi", text, class_="text"))),
        tag("p", f"{percent(mistake.confidence)} sure · {edits}", tag("br"),
            f"{mistake.set} · {mistake.id}", class_="soft"),
        class_="card",
    )  # fmt: skip


def marked(label: str, text: str) -> tuple[Markup, Markup]:
    """Both texts with the characters marked in which they differ."""
    label, text = normalise(label), normalise(text)
    steps = Levenshtein.editops(label, text)
    wrong_label = {s.src_pos for s in steps if s.tag != "insert"}
    wrong_text = {s.dest_pos for s in steps if s.tag != "delete"}
    return _with_marks(label, wrong_label), _with_marks(text, wrong_text)


def _with_marks(text: str, wrong: set[int]) -> Markup:
    if not text:
        return tag("i", "nothing", class_="soft")
    return together(*(tag("mark", c) if i in wrong else c for i, c in enumerate(text)))


def _problem_table(problems: Sequence[OutOfReach], count: int) -> Markup:
    rows = [
        tag("tr", tag("td", f"{p.set} · {p.id}", class_="name"),
            tag("td", tag("bdi", p.label, class_="text")), tag("td", p.message, class_="name"))
        for p in problems
    ]  # fmt: skip
    head = tag("tr", tag("th", "sample"), tag("th", "label"), tag("th", "why"))
    note = (
        f"The first {len(problems)} of {number(count)}" if count > len(problems) else "Which ones"
    )
    table = tag("div", tag("table", head, *rows), class_="wide")
    return tag("details", tag("summary", note), table)


def _prepared_rejects(evaluation: Evaluation) -> list[Markup]:
    rows = [
        tag("tr", tag("td", name, class_="name"), tag("td", reason),
            tag("td", number(count), class_="n"))
        for name, info in evaluation.sets.items()
        for reason, count in info.prepared_rejects.items()
    ]  # fmt: skip
    if not rows:
        return []
    head = tag("tr", tag("th", "set"), tag("th", "reason"), tag("th", "inputs", class_="n"))
    return [
        tag("h3", "Set aside when the data was prepared"),
        tag("p", "Not among the samples evaluated here.", class_="soft"),
        tag("div", tag("table", head, *rows), class_="wide"),
    ]
