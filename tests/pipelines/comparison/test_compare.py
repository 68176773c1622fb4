"""Whole comparisons: every sample is measured or counted as not, and the page shows it all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from crnn.errors import DataError
from pipelines.comparison import (
    HTML_NAME,
    JSON_NAME,
    CompareConfig,
    Comparison,
    plan_comparison,
)
from pipelines.comparison.flow import MeasuredPart, measurer
from pipelines.comparison.result import compared
from pipelines.comparison.traits import TRAITS
from pipelines.comparison.write import write
from pipelines.inspection.inputs import DataSet, pieces
from tests.browser import fits, tab
from tests.pipelines.inspection.planted import clean, flat, prepared, row

WHERE = ("beside", "<i>dark</i>", "wide")


def laid(shifts: Sequence[float] = (0, 1, 0)) -> Comparison:
    """Sets whose traits are normal values, of deviation 1 but for the last one's, and shifted."""
    spread = np.sort(np.random.default_rng(3).normal(size=400))
    spread /= spread.std()
    deviations = (1, 1, 3)
    values = [
        dict.fromkeys(TRAITS, spread * deviation + 20 + shift)
        for shift, deviation in zip(shifts, deviations, strict=True)
    ]
    sets = [DataSet(name=name, uri=f"/data/{name}", format="prepared") for name in WHERE]
    skipped: list[dict[str, int]] = [{}, {"undecodable": 7}, {}]
    return compared(sets, CompareConfig(), values=values, skipped=skipped)


def test_distances_are_those_that_were_made() -> None:
    comparison = laid()
    for report in comparison.traits.values():
        first, shifted, wide = report.sets
        assert (first.distance, first.uncovered) == (0, pytest.approx(0.02, abs=0.005))
        assert shifted.distance == pytest.approx(1)
        assert wide.distance == pytest.approx(2 * 0.798, abs=0.05)  # mean of |2z|
        assert wide.uncovered == 0
    assert comparison.mean_distance(1) == pytest.approx(1)


def test_the_json_has_it_all(tmp_path: Path) -> None:
    comparison = laid()
    assert write(comparison, str(tmp_path)).endswith(HTML_NAME)
    values = json.loads((tmp_path / JSON_NAME).read_text(encoding="utf-8"))
    assert [s["name"] for s in values["sets"]] == list(WHERE)
    assert values["sets"][1]["skipped"] == {"undecodable": 7}
    assert set(values["traits"]) == set(TRAITS)
    for trait in values["traits"].values():
        for summary in trait["sets"].values():
            assert sum(summary["counts"]) == summary["samples"] == 400
            assert len(summary["counts"]) == len(trait["edges"]) - 1
        assert trait["sets"]["<i>dark</i>"]["distance"] == pytest.approx(1)
        assert set(trait["sets"]["wide"]["percentiles"]) >= {"1", "50", "99"}


def test_the_page_holds_each_plot(
    tmp_path: Path, browser: Browser, context: BrowserContext
) -> None:
    write(laid(), str(tmp_path))
    with tab(context, tmp_path / HTML_NAME) as page:
        expect(page.locator("h1")).to_have_text("beside beside <i>dark</i>, wide")
        assert page.locator(".trait svg").count() == len(TRAITS)
        for name, trait in TRAITS.items():
            plot = page.locator(f"#{name}")
            expect(plot.locator("h3")).to_have_text(trait.title)
            assert plot.locator("polyline.outline").count() == len(WHERE)
            assert plot.locator("details tr").count() == 1 + len(WHERE)
            expect(plot.locator("rect.tip title").first).to_contain_text("<i>dark</i>: ")
            row = page.locator(".distances tr", has=page.locator(f"a[href='#{name}']"))
            expect(row.locator("td").nth(1)).to_have_text("1.00")
            expect(row.locator("td").nth(4)).to_have_text("0.0%")
        assert page.locator(".distances .far").count() == 2 * len(TRAITS)
        expect(page.locator(".skipped")).to_contain_text(re.compile("dark.*undecodable.*7"))
        assert fits(page, 360)


def test_every_sample_is_measured_or_has_a_reason(tmp_path: Path) -> None:
    """What a process does, in this one: the pieces of two sets, one of them not prepared."""
    rows = [
        *clean(30, seed=1),
        row("flat", "abc", flat(40, 24)),
        row("junk", "abc", b"junk"),
        row("blank", "  "),
    ]
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "labels.tsv").write_text("a.png\tab\nb.png\tcd\nno.png\tef\n", encoding="utf-8")
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(flat(60, 20))
    planned = plan_comparison([prepared(tmp_path / "set", rows), str(folder)], CompareConfig())
    work = measurer(planned)
    found: list[MeasuredPart] = [
        part
        for number, data in enumerate(planned.sets)
        for piece in pieces(data, number)
        for part in work(piece)
    ]
    assert sum(part.rows for part in found) == 36
    assert sum(len(part.measured) for part in found) == 34
    assert [dict(part.skipped) for part in found if part.skipped] == [
        {"undecodable": 1}, {"not_found": 1},
    ]  # fmt: skip
    blank = next(m for m in found[1].measured if np.isnan(m[0]))
    assert blank[list(TRAITS).index("height_px")] == 24


def test_what_can_not_be_compared(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one", clean(5, seed=1))
    config = CompareConfig()
    with pytest.raises(ValueError, match="expected 2 to 6"):
        plan_comparison([one], config)
    with pytest.raises(ValueError, match="expected 2 to 6"):
        plan_comparison([], config)
    with pytest.raises(DataError, match="nowhere"):
        plan_comparison([one, str(tmp_path / "nowhere")], config)
    with pytest.raises(ValueError, match="more than once"):
        plan_comparison([one, one], config)
    with pytest.raises(ValueError, match="--height"):
        CompareConfig(height=4)
    with pytest.raises(ValueError, match="--limit"):
        CompareConfig(limit=-1)
