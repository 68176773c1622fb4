"""A real headless browser for tests of pages. Where there is none, such a test fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE_MS = 60_000
"""On a machine that is busy with other things."""
MAY_STALL = pytest.mark.flaky(reruns=1, only_rerun=[r"Timeout \d+ms exceeded", "Locator expected"])
"""Beside other work Chromium now and then never delivers an event, a download's or that of another
tab, however long one waits; the cause isn't known. Such a test is tried once more in a browser as
if unused, and counted as rerun; whatever else fails, fails."""


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser for some tests."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(
            f"none of {', '.join(PROGRAMS)} is on the PATH; pages are tested in a real browser: "
            "apt-get install chromium"
        )
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def unused(browser: Browser) -> Iterator[BrowserContext]:
    """The browser as if it had never been used: no history, nothing kept."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@contextmanager
def tab(context: BrowserContext, where: Path | str) -> Iterator[Page]:
    """A file or an address in a tab of its own; it may neither complain nor load anything from
    elsewhere."""
    address = where if isinstance(where, str) else where.resolve().as_uri()
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    page.close()
    assert not complaints
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def fits(page: Page, width_px: int) -> bool:
    """Whether the page needs no scrolling from left to right in a window so wide."""
    page.set_viewport_size({"width": width_px, "height": 700})
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
