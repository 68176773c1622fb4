"""The page of an inspection, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from pipelines.inspection import HTML_NAME, inspect
from pipelines.inspection.cards import label
from pipelines.inspection.write import write
from tests.browser import fits, tab
from tests.pipelines.inspection.planted import PLAIN, clean, flat, noise, prepared, row
from tests.pipelines.test_report import EVIL, Outline

BROKEN = "images => images.filter(image => !image.naturalWidth).length"


@pytest.fixture(scope="module")
def made(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two sets with troubles of all severities."""
    folder = tmp_path_factory.mktemp("page")
    train, val = clean(60, seed=1), clean(20, seed=2, prefix="v")
    train += [
        row("constant", "abc", flat(40, 24)),
        row("evil" + EVIL, EVIL, noise(300, 24, 1)),
        row("junk", "abc", b"junk"),
        row("unseen", "a\u200bb\u202e c ", noise(60, 24, 2)),
        row("quote", "it\u2019s", noise(60, 24, 3)),
        row("long", "m" * 90, noise(1200, 24, 4)),
        row("again", "other", train[7]["image"]),
    ]
    val.append(row("leak", train[3]["text"], train[3]["image"]))
    sets = [prepared(folder / "train", train), prepared(folder / "val", val)]
    inspection = inspect(sets, replace(PLAIN, rare_below=2, charset="ascii_space"))
    write(inspection, str(folder / "report"))
    return folder / "report" / HTML_NAME


def test_findings_lead_to_their_sections_and_pictures(made: Path, context: BrowserContext) -> None:
    with tab(context, made) as page:
        links = page.locator(".overview a")
        assert links.count() == page.locator("section.finding").count() >= 8
        for place in range(links.count()):
            target = links.nth(place).get_attribute("href")
            assert page.locator(f"section.finding{target}").count() == 1
        links.first.click()
        assert page.evaluate("document.querySelector('section:target') !== null")
        assert page.locator(".card img").count() > 10
        assert page.locator(".card img").evaluate_all(BROKEN) == 0
        expect(page.locator("#undecodable .card")).to_contain_text("no picture")
        assert page.locator("#same_picture_other_text .card .sample").count() == 2
        expect(page.locator("#leak")).to_contain_text("val · leak")


def test_errors_come_first(made: Path, context: BrowserContext) -> None:
    with tab(context, made) as page:
        chips = page.locator(".overview .chip").all_inner_texts()
        order = ["error", "warning", "info"]
        assert chips == sorted(chips, key=order.index)
        assert set(chips) == set(order)
        tiles = page.locator(".tile").all_inner_texts()
        assert re.sub(r"\s+", " ", tiles[0]).startswith(f"kinds of error {chips.count('error')} ")
        assert re.sub(r"\s+", " ", tiles[1]).startswith(
            f"kinds of warning {chips.count('warning')} "
        )


def test_what_nobody_sees_is_spelled_out(made: Path, context: BrowserContext) -> None:
    with tab(context, made) as page:
        shown = page.locator("#invisible_character .sample .unseen").all_inner_texts()
        assert shown == ["U+200B", "U+202E", "␣"]
    assert label("a  b") == label("a  b")
    assert str(label("a  b")).count("unseen") == 2
    assert "unseen" not in str(label("a b"))
    assert "nothing" in str(label(""))


def test_labels_are_text(made: Path, context: BrowserContext) -> None:
    html = made.read_text(encoding="utf-8")
    outline = Outline(html)
    assert EVIL in outline.text
    assert "script" not in outline.tags
    with tab(context, made) as page:
        assert page.locator("script").count() == 0


def test_charts_and_proposals(made: Path, context: BrowserContext) -> None:
    with tab(context, made) as page:
        for name in ("Label length", "Width", "Aspect ratio", "Width of a character"):
            chart = page.get_by_role("img", name=name, exact=True)
            assert chart.locator("rect").count() > 1
        padding = page.get_by_role("img", name="Padded share")
        assert padding.locator("circle").count() == 10
        expect(page.locator("#buckets")).to_contain_text("--picture.widths")
        expect(page.locator("#characters")).to_contain_text("not in the charset")


def test_it_fits_a_phone_and_the_dark(made: Path, browser: Browser) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        with tab(context, made) as page:
            for width_px in (320, 375, 1200):
                assert fits(page, width_px)
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert grounds[0] != grounds[1]


def test_a_page_without_findings(local_ray: None, tmp_path: Path, context: BrowserContext) -> None:
    inspection = inspect([prepared(tmp_path / "set", clean(40, seed=1))], PLAIN)
    write(inspection, str(tmp_path / "report"))
    with tab(context, tmp_path / "report" / HTML_NAME) as page:
        expect(page.locator("main")).to_contain_text("None: nothing is wrong.")
        assert page.locator(".tile.good").count() == 2
