"""The page at / in a real browser, on the service's application with the shipped bundle."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from crnn.inference.recognizer import Recognizer
from tests.browser import fits, tab
from tests.jobs.runs import PROJECT
from tests.jobs.serving.local_server import Replica, serving
from tests.pipelines.evaluation_cases import rendered

BUNDLE = str(PROJECT / "bundles" / "strings")
TOKEN = "a-token-of-the-tests"
EVIL = '<img src=x onerror=alert(1)>\'; "$(id)" ü.png'
PICTURES = {"2048.png": rendered("2048"), EVIL: rendered("A-77"), "31.png": rendered("31")}


class Busy:
    """In front of the service: refuses the first pictures, as an overloaded one does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.refusals = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/v1/recognize" or not self.refusals:
            await self._app(scope, receive, send)
            return
        self.refusals -= 1
        headers = [(b"retry-after", b"1")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture(scope="module")
def front() -> Busy:
    return Busy(Replica(bundle=BUNDLE))


@pytest.fixture(scope="module")
def service(front: Busy) -> Iterator[str]:
    with serving(front) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(BUNDLE)


def uploads(pictures: dict[str, bytes]) -> list[Any]:
    return [
        {"name": name, "mimeType": "image/png", "buffer": data} for name, data in pictures.items()
    ]


def choose(page: Page, pictures: dict[str, bytes]) -> None:
    """As a person does with the button; returns when all of them are answered."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(uploads(pictures))
    answered(page)


def answered(page: Page) -> None:
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator(".waiting")).to_have_count(0)


def texts(page: Page) -> list[str]:
    return page.locator(".card .text").all_inner_texts()


def style(page: Page, selector: str, name: str) -> list[float]:
    """A number in the style of each of these elements."""
    read = "(parts, name) => parts.map(part => parseFloat(part.style.getPropertyValue(name)))"
    found: list[float] = page.locator(selector).evaluate_all(read, name)
    return found


def test_pictures_are_read_in_their_order_at_their_places(
    service: str, context: BrowserContext, recognizer: Recognizer
) -> None:
    with tab(context, service) as page:
        expect(page.locator("#model")).to_contain_text("ready · reads with strings")
        choose(page, PICTURES)
        results = recognizer.read(list(PICTURES.values()))
        assert texts(page) == [result.text for result in results] == ["2048", "A-77", "31"]
        abouts = page.locator(".about").all_inner_texts()
        for about, name, result in zip(abouts, PICTURES, results, strict=True):
            assert name in about
            assert f"{min(99.9, round(100 * result.confidence, 1))}% sure" in about
            assert re.search(r"\d ms", about) and "× 24 px" in about
        wide = [int(re.findall(r"(\d+) × 24", about)[0]) for about in abouts]
        chars = [(c, width) for r, width in zip(results, wide, strict=True) for c in r.chars]
        lefts, widths = style(page, ".spot", "left"), style(page, ".spot", "width")
        assert lefts == pytest.approx([100 * c.x0 / w for c, w in chars], abs=0.01)
        assert widths == pytest.approx([100 * (c.x1 - c.x0) / w for c, w in chars], abs=0.01)
        cells = page.locator(".cell")
        assert cells.all_inner_texts() == [c.char for c, _ in chars]
        begins, sizes = style(page, ".cell", "left"), style(page, ".cell", "width")
        for begin, size, (c, w) in zip(begins, sizes, chars, strict=True):
            assert begin <= 50 * (c.x0 + c.x1) / w <= begin + size
        expect(page.locator("#status")).to_have_text("3 pictures read. 2048.png: 2048")
        assert page.locator("#count").inner_text() == "3 pictures"


def test_doubtful_characters_look_so(
    service: str, context: BrowserContext, recognizer: Recognizer
) -> None:
    with tab(context, service) as page:
        page.get_by_label("Decoder").select_option("lexicon")
        page.get_by_label("Words allowed").fill("2099\n\n  7777 \n")
        choose(page, {"2048.png": PICTURES["2048.png"]})
        result = recognizer.read(PICTURES["2048.png"], lexicon=["2099", "7777"])
        assert texts(page) == [result.text]
        doubts = style(page, ".cell", "--t")
        order = sorted(range(4), key=lambda i: result.chars[i].probability)
        assert [doubts[i] for i in order] == sorted(doubts, reverse=True)
        assert doubts[order[0]] == 1 and doubts[order[-1]] < 0.7
        colours = page.locator(".cell").evaluate_all(
            "cells => cells.map(cell => getComputedStyle(cell).backgroundColor)"
        )
        assert colours[order[0]] != colours[order[-1]]


def test_a_bad_picture_fails_alone_in_words(service: str, context: BrowserContext) -> None:
    with tab(context, service) as page:
        choose(page, {"a.png": PICTURES["31.png"], "junk.png": b"junk", "empty.png": b""})
        shown = texts(page)
        assert shown[0] == "31"
        assert shown[1].startswith("This is not a picture that can be read")
        assert shown[2] == "The file is empty."
        expect(page.locator(".card").nth(1).locator(".about")).to_contain_text("undecodable: ")
        assert page.locator("#count").inner_text() == "3 pictures · 2 errors"
        expect(page.locator("#status")).to_have_text("1 picture read, 2 errors. a.png: 31")
        assert page.locator(".failed").count() == 2
        page.get_by_role("button", name="Clear").click()
        assert page.locator(".card").count() == 0
        expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()


def send_file(page: Page, event: str) -> None:
    """Pastes or drops a picture on the page, as a browser tells of it."""
    page.evaluate(
        """([event, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "image.png", { type: "image/png" }));
          const given = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(
            event === "paste"
              ? new ClipboardEvent("paste", { ...given, clipboardData: transfer })
              : new DragEvent(event, { ...given, dataTransfer: transfer }),
          );
        }""",
        [event, base64.b64encode(PICTURES["2048.png"]).decode()],
    )


def test_paste_and_drop_and_the_sample(service: str, context: BrowserContext) -> None:
    with tab(context, service) as page:
        send_file(page, "paste")
        answered(page)
        assert texts(page) == ["2048"]
        expect(page.locator(".about")).to_contain_text("pasted-1.png")
        send_file(page, "dragenter")
        expect(page.locator("body")).to_have_class("over")
        send_file(page, "drop")
        expect(page.locator("body")).not_to_have_class("over")
        expect(page.locator(".card")).to_have_count(2)
        answered(page)
        assert texts(page) == ["2048", "2048"]
        page.reload()
        page.get_by_role("button", name="Try a sample").click()
        answered(page)
        assert len(re.findall(r"\d", texts(page)[0])) >= 6


def test_from_the_keyboard_alone(
    service: str, context: BrowserContext, recognizer: Recognizer
) -> None:
    with tab(context, service) as page:
        page.on("filechooser", lambda chooser: None)  # caught from now on, not only from Enter on
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Choose pictures")
        expect(button).to_be_focused()
        assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(uploads({"2048.png": PICTURES["2048.png"]}))
        answered(page)
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.locator(".strip:focus").count():
                break
        chars = recognizer.read(PICTURES["2048.png"]).chars
        readout = page.locator(".readout")
        for key, index in (("", 0), ("ArrowRight", 1), ("End", 3), ("ArrowLeft", 2), ("Home", 0)):
            if key:
                page.keyboard.press(key)
            expect(readout).to_have_text(
                f"{chars[index].char} – {min(99.9, round(100 * chars[index].probability, 1))}% "
                f"sure, read at {chars[index].x0:.0f} to {chars[index].x1:.0f} px"
            )
            chosen = page.locator(".cell[aria-selected=true]")
            assert chosen.inner_text() == chars[index].char
            active = page.locator(".strip").get_attribute("aria-activedescendant")
            assert active == chosen.get_attribute("id")
            assert page.locator(".spot.at").count() == 1
        page.keyboard.press("Escape")
        expect(readout).to_be_hidden()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Copy text")).to_be_focused()


def test_the_curl_does_the_same(
    service: str, context: BrowserContext, recognizer: Recognizer, tmp_path: Path
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    (tmp_path / EVIL.replace("/", "_")).write_bytes(PICTURES[EVIL])
    with tab(context, service) as page:
        page.get_by_label("Decoder").select_option("lexicon")
        page.get_by_label("Words allowed").fill('it\'s; type=x\nA-77\n"$(id)"')
        choose(page, {EVIL: PICTURES[EVIL]})
        page.get_by_role("button", name="Copy curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("button", name="Copy text").click()
        expect(page.locator("#status")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == "A-77"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (result,) = json.loads(done.stdout)["results"]
    words = ["it's; type=x", "A-77", '"$(id)"']
    assert result["text"] == recognizer.read(PICTURES[EVIL], lexicon=words).text == "A-77"
    assert result["id"].startswith("<img src=x onerror=alert(1)>'; ")


def test_other_options_for_the_same_pictures(service: str, context: BrowserContext) -> None:
    with tab(context, service) as page:
        choose(page, PICTURES)
        page.get_by_label("Decoder").select_option("lexicon")
        page.get_by_label("Words allowed").fill("7777")
        page.get_by_role("button", name="Read all again").click()
        expect(page.locator(".text", has_text="7777")).to_have_count(3)
        answered(page)
        assert texts(page) == ["7777"] * 3
        page.get_by_label("Words allowed").fill("")
        page.locator("#decoder").select_option("greedy")
        expect(page.get_by_label("Words allowed")).to_be_hidden()
        page.get_by_role("button", name="Read all again").click()
        expect(page.locator(".text", has_text="7777")).to_have_count(0)
        answered(page)
        assert texts(page) == ["2048", "A-77", "31"]


@pytest.mark.slow
def test_a_service_that_wants_a_token(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    with serving(Replica(bundle=BUNDLE, token_file=str(tmp_path / "token"))) as address:
        page = context.new_page()
        page.goto(address)
        field = page.get_by_label("Access token")
        expect(field).to_be_focused()
        page.locator("#files").set_input_files(uploads({"31.png": PICTURES["31.png"]}))
        answered(page)
        assert texts(page)[0].startswith("The service wants an access token")
        field.fill("not-the-right-token")
        field.press("Enter")
        expect(page.locator("#status")).to_have_text("The access token is not the right one.")
        field.fill(TOKEN)
        field.press("Enter")
        expect(page.locator(".text")).to_have_text("31")
        expect(field).to_be_hidden()
        page.get_by_role("button", name="Copy curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = page.evaluate("navigator.clipboard.readText()")
        assert "Authorization: Bearer $CRNN_SERVE_TOKEN" in command and TOKEN not in command
        kept = page.evaluate(
            "[Object.values(sessionStorage), localStorage.length, document.cookie]"
        )
        assert kept == [[TOKEN], 0, ""]
        page.reload()
        expect(page.locator("#dot")).to_have_class("dot on")
        context.close()


def test_a_busy_service_is_asked_again_and_a_gone_one_named(
    service: str, front: Busy, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(service)
    expect(page.locator("#dot")).to_have_class("dot on")
    front.refusals = 1
    page.locator("#files").set_input_files(uploads({"31.png": PICTURES["31.png"]}))
    expect(page.locator(".text")).to_contain_text("The service is busy; trying again in 1 s")
    answered(page)
    assert texts(page) == ["31"]
    context.set_offline(True)
    page.get_by_role("button", name="Read all again").click()
    expect(page.locator(".text")).to_contain_text("The service can’t be reached")
    context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".text")).to_have_text("31")
    context.close()


def test_names_are_text_and_only_the_page_s_own_script_may_run(
    service: str, context: BrowserContext
) -> None:
    answer = httpx.get(service)
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    for kind in ("script", "style"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    again = httpx.get(service, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with tab(context, service) as page:
        choose(page, {EVIL: PICTURES[EVIL]})
        assert page.locator("li img").count() == 1
        assert EVIL in page.locator(".about").inner_text()


def test_it_fits_a_phone_and_the_dark(service: str, browser: Browser, tmp_path: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        with tab(context, service) as page:
            for width_px in (320, 375, 1200):
                assert fits(page, width_px)
            choose(page, {**PICTURES, "long.png": rendered("0123456789" * 6), "junk.png": b"x"})
            for width_px in (320, 375, 1200):
                assert fits(page, width_px)
                page.screenshot(path=tmp_path / f"{scheme}-{width_px}.png", full_page=True)
            narrowest = (
                page.locator(".card")
                .nth(3)
                .locator(".cell")
                .evaluate_all(
                    "cells => Math.min(...cells.map(cell => cell.getBoundingClientRect().width))"
                )
            )
            assert narrowest >= 8
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert grounds[0] != grounds[1]
