"""What a bundle lost against another, by set and by character."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from crnn.text.metrics import Sums
from jobs.training.losses import in_words
from pipelines.evaluation.losses import losses
from pipelines.evaluation.tally import ReadingTally
from pipelines.report.page import page
from tests.pipelines.test_report import Outline, evaluation

COUNTS = {"a": 100, "b": 50, "c": 10}


def test_sets_and_characters_say_what_was_lost() -> None:
    base = evaluation()
    name = next(iter(base.sets))
    sets = {name: base.sets[name]}

    def read(right: int, wrong: dict[tuple[str, str], int]) -> ReadingTally:
        return ReadingTally(
            sums={(name, 2): Sums(count=40, exact=right)}, confusions=Counter(wrong)
        )

    before = replace(base, sets=sets, tally=read(30, {("a", "o"): 10, ("", "x"): 3}))
    after = replace(
        base, sets=sets, tally=read(20, {("a", "o"): 20, ("a", ""): 10, ("c", "e"): 10})
    )
    lost = losses(before, after, COUNTS)
    assert [(c.character, c.before, c.after) for c in lost.characters] == [
        ("a", 0.9, 0.7), ("c", 1.0, 0.0), ("b", 1.0, 1.0),
    ]  # fmt: skip
    told = "\n".join(lost.lines())
    assert "75.00% read exactly before, 50.00% now" in told
    assert "lost most: 'a' 90% to 70%" in told and "no longer read at all: 'c'" in told
    assert in_words(lost, "mobile", "runs/a/bundle")[-1].endswith(
        "--bundle mobile --then runs/a/bundle --surer"
    )
    unchanged = losses(before, before, COUNTS)
    assert in_words(unchanged, "mobile", "runs/a/bundle") == unchanged.lines()
    assert lost.to_dict()["sets"][name]["after"]["exact"] == 20
    text = Outline(page(base, lost)).text
    assert "What was forgotten" in text and "90.0% → 70.0%" in text
    assert "What was forgotten" not in Outline(page(base)).text
