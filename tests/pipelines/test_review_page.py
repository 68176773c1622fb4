"""The page of a review in a real browser, used as a person uses it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from pipelines.recognition.source import picture_bytes
from pipelines.review import ReviewConfig, select
from pipelines.review.write import write
from pipelines.sources import open_source
from tests.browser import fits, tab
from tests.pipelines.test_report import EVIL
from tests.pipelines.test_review import NOT_SURE, crops, results, row, uris


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes the page of some readings, one picture each; its folder."""

    def make(*readings: str, **more: Any) -> Path:
        pictures = crops(tmp_path, *readings)
        rows = [
            row(uri, text, 0.1 + i / 10_000, **more)
            for i, (uri, text) in enumerate(zip(pictures, readings, strict=True))
        ]
        selection = select(results(tmp_path / "results", rows), NOT_SURE)
        write(selection, str(tmp_path / "review"), NOT_SURE, picture_bytes)
        return tmp_path / "review"

    return make


def counts(page: Page) -> tuple[int, ...]:
    """Accepted, corrected, unreadable, left."""
    names = ("accepted", "corrected", "unreadable", "left")
    return tuple(int(page.locator(f"#count-{name}").inner_text()) for name in names)


def field(page: Page, place: int) -> Any:
    return page.locator(".item input").nth(place)


def saved(page: Page, folder: Path) -> list[list[str]]:
    """Saves as a person does; the lines of the file, by tabs."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save labels.tsv").click()
    assert download.value.suggested_filename == "labels.tsv"
    download.value.save_as(folder / "labels.tsv")
    text = (folder / "labels.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def test_a_person_goes_through_with_the_keyboard_alone(
    made: Callable[..., Path], context: BrowserContext
) -> None:
    folder = made("11", "22", "33", "44", "55")
    record = json.loads((folder / "review.json").read_text())
    images = [picture["image"] for picture in record["pictures"]]
    with tab(context, folder / "review.html") as page:
        assert counts(page) == (0, 0, 0, 5)
        field(page, 0).focus()
        page.keyboard.press("Enter")
        expect(field(page, 1)).to_be_focused()
        page.keyboard.press("Backspace")
        page.keyboard.type("7")
        page.keyboard.press("Enter")
        expect(field(page, 2)).to_be_focused()
        page.keyboard.press("Shift+Enter")
        expect(field(page, 3)).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(field(page, 4)).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="accept the text of picture 5")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="picture 4 is unreadable")).to_be_focused()
        assert counts(page) == (1, 1, 2, 1)
        field(page, 3).fill("nothing like it")
        page.keyboard.press("Escape")
        assert field(page, 3).input_value() == "44"
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Save labels.tsv")).to_be_focused()
        assert counts(page) == (2, 1, 2, 0)
        assert saved(page, folder) == [
            [images[0], "11"], [images[1], "27"], [images[3], "44"],
        ]  # fmt: skip
    items = list(open_source(str(folder)).items())
    assert [item.reason for item in items] == [""] * 3
    assert [item.text for item in items] == ["11", "27", "44"]


def test_a_closed_tab_loses_nothing(made: Callable[..., Path], context: BrowserContext) -> None:
    folder = made("11", "22", "33", "44")
    with tab(context, folder / "review.html") as page:
        field(page, 0).focus()
        page.keyboard.press("Enter")
        field(page, 1).fill("2x")
        page.keyboard.press("Enter")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("half")
    with tab(context, folder / "review.html") as page:
        assert counts(page) == (1, 1, 1, 1)
        assert [field(page, i).input_value() for i in range(4)] == ["11", "2x", "33", "44half"]
        expect(field(page, 3)).to_be_focused()
        assert [line[1] for line in saved(page, folder)] == ["11", "2x"]


def test_a_window_that_is_left_in_mid_word_decides_nothing(
    made: Callable[..., Path], context: BrowserContext
) -> None:
    """As Chromium tells it: the field is blurred and still the active element."""
    folder = made("11", "22")
    with tab(context, folder / "review.html") as page:
        field(page, 0).focus()
        page.keyboard.type("half")
        session = context.new_cdp_session(page)  # else every tab believes that it is looked at
        session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
        with tab(context, folder / "review.html") as other:
            other.bring_to_front()
            page.wait_for_function("!document.hasFocus()")
            assert counts(page) == (0, 0, 0, 2)
        page.bring_to_front()
        page.wait_for_function("document.hasFocus()")
        assert counts(page) == (0, 0, 0, 2)
        field(page, 1).focus()
        assert counts(page) == (0, 1, 0, 1)


def test_another_selection_of_the_same_results_goes_on(
    made: Callable[..., Path], tmp_path: Path, context: BrowserContext
) -> None:
    folder = made("11", "22", "33")
    with tab(context, folder / "review.html") as page:
        field(page, 0).focus()
        page.keyboard.press("Enter")
    config = ReviewConfig(limit=2, order="random")
    selection = select(str(tmp_path / "results"), config)
    write(selection, str(folder), config, picture_bytes)
    with tab(context, folder / "review.html") as page:
        kept = sum(uri.endswith("0000.png") for uri in uris(selection))
        assert counts(page) == (kept, 0, 0, 2 - kept)


def test_two_tabs_agree(made: Callable[..., Path], context: BrowserContext) -> None:
    folder = made("11", "22")
    with tab(context, folder / "review.html") as one, tab(context, folder / "review.html") as two:
        field(one, 0).fill("1x")
        one.keyboard.press("Enter")
        expect(one.locator("#count-corrected")).to_have_text("1")
        expect(two.locator("#count-corrected")).to_have_text("1")
        field(two, 1).focus()
        two.keyboard.press("Enter")
        expect(one.locator("#count-accepted")).to_have_text("1")
        assert [line[1] for line in saved(one, folder)] == ["1x", "22"]


def test_what_goes_into_a_line_is_one_line(
    made: Callable[..., Path], context: BrowserContext
) -> None:
    folder = made("11", "22", "33", "44")
    with tab(context, folder / "review.html") as page:
        for place, text in enumerate(('"a,\tb"', "cafe\u0301", " 7  7 ", "\u0627\u0661<b>")):
            field(page, place).evaluate("(field, text) => { field.value = text; }", text)
            field(page, place).dispatch_event("input")
            field(page, place).focus()
            page.keyboard.press("Enter")
        assert "␣7␣␣7␣" in page.locator(".item").nth(2).inner_text()
        assert [line[1:] for line in saved(page, folder)] == [
            ['"""a, b"""'], ["caf\u00e9"], [" 7  7 "], ["\u0627\u0661<b>"],
        ]  # fmt: skip
        texts = [item.text for item in open_source(str(folder)).items()]
        assert texts == ['"a, b"', "caf\u00e9", " 7  7 ", "\u0627\u0661<b>"]


def test_no_text_is_no_label(made: Callable[..., Path], context: BrowserContext) -> None:
    folder = made("11", "22")
    with tab(context, folder / "review.html") as page:
        page.get_by_role("button", name="Save labels.tsv").click()
        expect(page.locator("#status")).to_contain_text("Nothing to save yet")
        for text in ("", "   "):
            field(page, 0).fill(text)
            page.keyboard.press("Enter")
            expect(field(page, 0)).to_be_focused()
            expect(page.locator(".item").first).to_contain_text("No text")
        assert counts(page) == (0, 0, 0, 2)


def test_a_text_that_was_changed_counts_when_its_field_is_left(
    made: Callable[..., Path], context: BrowserContext
) -> None:
    folder = made("11", "22")
    with tab(context, folder / "review.html") as page:
        field(page, 0).fill("12")
        assert counts(page) == (0, 0, 0, 2)
        field(page, 1).focus()
        assert counts(page) == (0, 1, 0, 1)
        page.keyboard.press("Tab")
        assert counts(page) == (0, 1, 0, 1)


def test_readings_are_shown_as_text_with_their_doubts(
    made: Callable[..., Path], context: BrowserContext
) -> None:
    folder = made(EVIL, " 1", "\u05d0\u05d1 2")
    with tab(context, folder / "review.html") as page:
        readings = page.locator(".reading")
        assert readings.nth(0).inner_text() == EVIL
        assert field(page, 0).input_value() == EVIL
        assert readings.nth(1).inner_text() == "␣1"
        tints = (
            readings.nth(1)
            .locator("span")
            .evaluate_all("spans => spans.map(span => getComputedStyle(span).backgroundColor)")
        )
        depths = [float(re.findall(r"[\d.]+", tint)[-1]) for tint in tints]
        assert depths == pytest.approx([0.75 * 0.1, 0.75 * 0.2], abs=0.01)
        assert page.locator(".address").nth(0).inner_text().endswith("0000.png")
        for name in ("autocomplete", "autocorrect", "autocapitalize"):
            assert field(page, 0).get_attribute(name) == "off"
        assert field(page, 0).get_attribute("spellcheck") == "false"
        direction = "field => getComputedStyle(field).direction"
        assert [field(page, i).evaluate(direction) for i in (1, 2)] == ["ltr", "rtl"]


def test_only_its_own_script_may_run(made: Callable[..., Path]) -> None:
    html = (made("</script><script>1") / "review.html").read_text()
    script = html.rpartition("<script>")[2].partition("</script>")[0]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = policy[1].replace("&#x27;", "'").split("; ")
    assert f"script-src 'sha256-{digest}'" in rules
    assert "default-src 'none'" in rules
    assert html.count("<script") == 2


@pytest.mark.slow
def test_two_thousand_pictures_are_shown_by_the_page(
    tmp_path: Path, context: BrowserContext
) -> None:
    (uri,) = crops(tmp_path, "7")
    rows = [row(uri, str(i), i / 10_000, etag=str(i)) for i in range(2000)]
    for number, entry in enumerate(rows):
        entry["region"] = [0.0, 0.0, 8.0 + number / 1000, 0.0, 8.0 + number / 1000, 9.0, 0.0, 9.0]
    config = ReviewConfig(limit=2000)
    selection = select(results(tmp_path / "results", rows), config)
    write(selection, str(tmp_path / "review"), config, picture_bytes)
    with tab(context, tmp_path / "review" / "review.html") as page:
        assert counts(page) == (0, 0, 0, 2000)
        assert page.locator(".item").count() == 40
        field(page, 39).focus()
        page.keyboard.press("Enter")
        expect(field(page, 0)).to_be_focused()
        assert field(page, 0).input_value() == "40"
        page.get_by_role("button", name="next page").first.click()
        assert field(page, 0).input_value() == "80"
        page.get_by_label("Show").select_option("accepted")
        assert page.locator(".item input").count() == 1
        assert field(page, 0).input_value() == "39"
        page.get_by_label("Show").select_option("left")
        assert field(page, 39).input_value() == "40"


def test_it_fits_a_phone(made: Callable[..., Path], context: BrowserContext) -> None:
    folder = made("1" * 60, "22")
    with tab(context, folder / "review.html") as page:
        for width_px in (320, 375, 1200):
            assert fits(page, width_px)


def test_pictures_that_can_not_be_shown_are_listed(tmp_path: Path, context: BrowserContext) -> None:
    (uri,) = crops(tmp_path, "7")
    gone = str(tmp_path / "gone.png")
    selection = select(results(tmp_path / "results", [row(uri), row(gone)]), NOT_SURE)
    write(selection, str(tmp_path / "review"), NOT_SURE, picture_bytes)
    with tab(context, tmp_path / "review" / "review.html") as page:
        assert counts(page) == (0, 0, 0, 1)
        table = page.get_by_role("table").inner_text()
        assert gone in table
        assert "not_found" in table
