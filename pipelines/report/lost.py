"""What a trained bundle lost against the one that it began with, as a section of its report."""

from __future__ import annotations

from pipelines.evaluation.losses import CharacterLoss, Losses
from pipelines.report.document import figure_cell, table
from pipelines.report.figures import number, percent
from pipelines.report.markup import Markup, shown_character, tag

MOST_CHARACTERS = 20


def lost_section(lost: Losses) -> Markup:
    """By set, and the characters that lost most."""
    heads = ["samples", "exact before", "now", "0-9 a-z before", "now"]
    rows = [
        tag(
            "tr",
            tag("td", name, class_="name"),
            figure_cell(number(after.count)),
            figure_cell(percent(before.exact_accuracy)),
            figure_cell(percent(after.exact_accuracy)),
            figure_cell(percent(before.alnum_accuracy)),
            figure_cell(percent(after.alnum_accuracy)),
        )
        for name, (before, after) in lost.sets.items()
    ]
    worst = [one for one in lost.characters if one.lost > 0][:MOST_CHARACTERS]
    return tag(
        "section",
        tag("h2", "What was forgotten"),
        tag(
            "p",
            "The bundle that training began with, and this one, on pictures that neither was "
            "trained on here.",
            class_="soft",
        ),
        table([tag("th", "set"), *(tag("th", head, class_="n") for head in heads)], rows),
        tag("h3", "Characters that lost most"),
        tag("ul", *map(_character, worst), class_="pairs") if worst else tag("p", "None."),
    )


def _character(one: CharacterLoss) -> Markup:
    return tag(
        "li",
        tag("bdi", shown_character(one.character)),
        f" {percent(one.before)} → {percent(one.after)}",
        tag("span", f" of {number(one.count)}", class_="soft"),
    )
