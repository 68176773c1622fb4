"""Whole pages on the page at /, in a real browser: what stands where, keys, downloads, errors."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.browser import fits, tab
from tests.crnn.pages.drawn import encrypted_pdf, in_file, turned
from tests.jobs.runs import PROJECT
from tests.jobs.serving.local_server import Replica, serving

BUNDLE = str(PROJECT / "bundles" / "strings")
WORDS = ("2048-77", "INV:1013", "31.50")
PATH = "/v1/pages"


def drawn(count: int = len(WORDS)) -> Image.Image:
    """A page with a word in each of its rows."""
    page = Image.new("RGB", (420, 300), "white")
    brush, font = ImageDraw.Draw(page), ImageFont.load_default(34)
    for row, word in enumerate(WORDS[:count]):
        brush.text((60, 40 + 80 * row), word, font=font, fill="black")
    return page


def png(page: Image.Image) -> bytes:
    file = io.BytesIO()
    page.save(file, "PNG")
    return file.getvalue()


def book() -> bytes:
    """A PDF of three pages, the second of which is too large for anybody."""
    data = in_file([drawn(2), drawn(1), drawn(3)], "PDF")
    boxes = list(re.finditer(rb"/MediaBox \[[^]]*\]", data))
    assert len(boxes) == 3
    huge = b"/MediaBox [0 0 99999 99999]"
    at, end = boxes[1].span()
    return data[:at] + huge.ljust(end - at) + data[end:]


class Refusing:
    """In front of the service: answers pages with a status, as one under load does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.problem: dict[str, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != PATH or self.problem is None:
            await self._app(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        status = self.problem["status"]
        headers = [(b"retry-after", b"60")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self.problem).encode()})


@pytest.fixture(scope="module")
def front() -> Refusing:
    return Refusing(Replica(bundle=BUNDLE))


@pytest.fixture(scope="module")
def service(front: Refusing) -> Iterator[str]:
    with serving(front) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def answer(service: str) -> dict[str, Any]:
    """What the service answers for the page, asked without the browser."""
    return asked(service, "page.png", png(drawn()))


def asked(service: str, name: str, data: bytes) -> dict[str, Any]:
    answered = httpx.post(f"{service}v1/pages", files={"files": (name, data)}, timeout=60)
    answered.raise_for_status()
    found: dict[str, Any] = answered.json()
    return found


def put(page: Page, name: str, data: bytes, *, whole: bool = True) -> Locator:
    """The card of a file once it is answered."""
    expect(page.locator("#dot")).to_have_class("dot on")
    if whole:
        page.get_by_label("whole pages").check()
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    page.locator("#files").set_input_files([file])  # type: ignore[list-item]
    card = page.locator("#list > li").first
    expect(card).to_contain_text(name)
    expect(page.locator(".waiting")).to_have_count(0)
    return card


def boxes(card: Locator) -> list[list[float]]:
    """Left, top, right and bottom of each box, in px of the page that they are on."""
    found: list[list[float]] = card.locator(".leaf").evaluate(
        """(leaf) => {
          const svg = leaf.querySelector("svg");
          const sheet = leaf.getBoundingClientRect();
          const scale = svg.viewBox.baseVal.width / sheet.width;
          return [...svg.querySelectorAll("polygon")].map((box) => {
            const { left, top, right, bottom } = box.getBoundingClientRect();
            return [left - sheet.left, top - sheet.top, right - sheet.left, bottom - sheet.top]
              .map((value) => value * scale);
          });
        }"""
    )
    return found


def around(line: dict[str, Any]) -> list[float]:
    xs, ys = zip(*line["region"], strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def shown_picture(card: Locator) -> Image.Image:
    """The picture of the page, as it is on the screen, without what lies over it."""
    canvas = card.locator(".leaf canvas")
    expect(canvas).to_be_visible()
    data = canvas.evaluate("canvas => canvas.toDataURL().split(',')[1]")
    return Image.open(io.BytesIO(__import__("base64").b64decode(data))).convert("L")


def darkness(picture: Image.Image, box: list[float]) -> float:
    """Mean of what is darker than paper in it, 0 to 255."""
    levels = list(picture.crop(tuple(map(round, box))).getdata())  # type: ignore[arg-type]
    return 255 - sum(levels) / len(levels)


def test_boxes_lie_over_the_lines_and_the_list_has_their_texts(
    service: str, context: BrowserContext, answer: dict[str, Any]
) -> None:
    (page_answer,) = answer["results"][0]["pages"]
    lines = page_answer["lines"]
    assert [line["text"] for line in lines] == list(WORDS)
    with tab(context, service) as page:
        card = put(page, "page.png", png(drawn()))
        expect(page.locator("#status")).to_have_text("1 file read. page.png: 1 page, 3 lines")
        assert card.locator(".row .words").all_inner_texts() == list(WORDS)
        picture = shown_picture(card)
        assert picture.size == (420, 300)
        for box, line in zip(boxes(card), lines, strict=True):
            assert box == pytest.approx(around(line), abs=1.5)
            assert darkness(picture, box) > 25
        card.locator(".box polygon").nth(1).hover()
        at = card.locator(".row.at")
        expect(at).to_have_text(re.compile(r"2INV:1013[\d.]+%"))
        expect(card.locator(".box.at polygon")).to_have_count(1)
        expect(card.locator(".says")).to_have_text("INV:1013")
        chars = lines[1]["chars"]
        assert card.locator(".chosen .cell").all_inner_texts() == [
            char["char"].replace(" ", "␣") for char in chars
        ]
        cut = card.locator(".chosen .frame canvas")
        width, height = cut.evaluate("canvas => [canvas.width, canvas.height]")
        left, top, right, bottom = around(lines[1])
        assert (width, height) == pytest.approx((right - left, bottom - top), abs=2)
        page.mouse.move(1, 1)
        expect(card.locator(".says")).to_have_text(WORDS[0])


def test_a_page_on_its_side_is_shown_upright(service: str, context: BrowserContext) -> None:
    for quarters in (1, 2, 3):
        data, side = png(turned(drawn(), quarters)), 90 * quarters
        (found,) = asked(service, "side.png", data)["results"][0]["pages"]
        assert found["turned"] == side
        with tab(context, service) as page:
            card = put(page, "side.png", data)
            picture = shown_picture(card)
            assert picture.size == (420, 300)
            difference = [
                abs(a - b)
                for a, b in zip(picture.getdata(), drawn().convert("L").getdata(), strict=True)
            ]
            assert sum(difference) / len(difference) < 2
            assert all(darkness(picture, box) > 25 for box in boxes(card))
            assert all(right - left > bottom - top for left, top, right, bottom in boxes(card))


def test_lines_and_characters_from_the_keyboard(
    service: str, context: BrowserContext, answer: dict[str, Any]
) -> None:
    lines = answer["results"][0]["pages"][0]["lines"]
    with tab(context, service) as page:
        card = put(page, "page.png", png(drawn()))
        page.locator("#results").focus()
        for _ in range(12):
            page.keyboard.press("Tab")
            if card.locator(".lines:focus").count():
                break
        listed = card.locator(".lines")
        expect(listed).to_be_focused()
        for key, index in (("ArrowDown", 1), ("End", 2), ("ArrowUp", 1), ("Home", 0)):
            page.keyboard.press(key)
            chosen = card.locator(".row[aria-selected=true]")
            assert chosen.locator(".words").inner_text() == lines[index]["text"]
            assert listed.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
            expect(card.locator(f".box[data-line='{index}'].at")).to_have_count(1)
            confidence = min(99.9, round(100 * lines[index]["confidence"], 1))
            expect(card.locator(".about-line")).to_contain_text(f"{confidence}% sure")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        second = lines[0]["chars"][1]
        sure = min(99.9, round(100 * second["probability"], 1))
        expect(card.locator(".readout")).to_contain_text(f"{second['char']} – {sure}% sure")


def test_a_pdf_is_read_as_pages_and_one_of_them_is_an_error(
    service: str, context: BrowserContext
) -> None:
    with tab(context, service) as page:
        card = put(page, "book.pdf", book(), whole=False)
        expect(page.locator("#status")).to_have_text(
            "1 file read. book.pdf: 3 pages, 5 lines, 1 page not read"
        )
        expect(card.locator(".place")).to_have_text("Page 1 of 3")
        assert card.locator(".row .words").all_inner_texts() == list(WORDS[:2])
        assert all(darkness(shown_picture(card), box) > 25 for box in boxes(card))
        card.get_by_role("button", name="Next page").click()
        expect(card.locator(".page-error")).to_contain_text("Page 2: The picture is too large")
        expect(card.locator(".lines")).to_be_hidden()
        card.get_by_role("button", name="Next page").click()
        expect(card.locator(".place")).to_have_text("Page 3 of 3")
        assert card.locator(".row .words").all_inner_texts() == list(WORDS)
        expect(card.get_by_role("button", name="Next page")).to_be_disabled()
        card.locator(".lines").focus()
        page.keyboard.press("PageUp")
        expect(card.locator(".page-error")).to_be_visible()


def test_downloads_are_what_the_page_shows(
    service: str, context: BrowserContext, answer: dict[str, Any]
) -> None:
    lines = answer["results"][0]["pages"][0]["lines"]
    got = {}
    with tab(context, service) as page:
        card = put(page, "a <b> & ü.png", png(drawn()))
        for form in ("TXT", "hOCR", "ALTO"):
            with page.expect_download() as download:
                card.get_by_role("button", name=form, exact=True).click()
            got[form] = download.value
        names = [one.suggested_filename for one in got.values()]
        assert [name.replace("_", "").split(".", 1)[1] for name in names] == [
            "txt",
            "hocr",
            "alto.xml",
        ]
        texts = {form: one.path().read_text("utf-8") for form, one in got.items()}
    assert texts["TXT"].splitlines() == list(WORDS)
    hocr = ElementTree.fromstring(texts["hOCR"].encode())
    spans = hocr.findall(".//{*}span[@class='ocr_line']")
    assert ["".join(span.itertext()) for span in spans] == list(WORDS)
    sheet = hocr.find(".//{*}div[@class='ocr_page']")
    assert sheet is not None and "bbox 0 0 420 300" in sheet.attrib["title"]
    assert "a <b> & ü.png" in sheet.attrib["title"]
    alto = ElementTree.fromstring(texts["ALTO"].encode())
    whole = alto.find(".//{*}Page")
    assert whole is not None and (whole.attrib["WIDTH"], whole.attrib["HEIGHT"]) == ("420", "300")
    for found, line in zip(alto.findall(".//{*}TextLine"), lines, strict=True):
        [word] = found.findall("{*}String")
        assert word.attrib["CONTENT"] == line["text"]
        left, top, right, bottom = around(line)
        place = [int(found.attrib[name]) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
        assert place == pytest.approx([left, top, right - left, bottom - top], abs=2)


def test_what_is_refused_is_said_in_words(
    service: str, front: Refusing, context: BrowserContext
) -> None:
    with tab(context, service) as page:
        card = put(page, "locked.pdf", encrypted_pdf(), whole=False)
        expect(card.locator(".text")).to_have_text("The PDF wants a password. Save it without one.")
    for status, code, words in (
        (413, "too_many_pages", "more pages than this service takes"),
        (429, "overloaded", "as many pages to read as it takes"),
        (504, "timed_out", "longer than the service allows"),
    ):
        front.problem = {"status": status, "code": code, "detail": "so it is"}
        try:
            page = context.new_page()
            page.goto(service)
            card = put(page, "page.png", png(drawn()))
            expect(card.locator(".text")).to_contain_text(words)
            expect(card.locator(".about")).to_contain_text(f"{code}: so it is")
            expect(page.locator("#status")).to_contain_text(words)
        finally:
            front.problem = None
        card.get_by_role("button", name="Try again").click()
        expect(card.locator(".row")).to_have_count(3)
        page.close()


def test_the_choice_is_kept_and_a_crop_can_be_read_as_a_page(
    service: str, context: BrowserContext
) -> None:
    big = Image.new("RGB", (600, 450), "white")
    big.paste(drawn(), (40, 60))
    with tab(context, service) as page:
        card = put(page, "big.png", png(big), whole=False)
        assert card.locator(".box").count() == 0
        card.get_by_role("button", name="Read as a page").click()
        expect(page.locator("#list > li .row .words")).to_have_text(list(WORDS))
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy text").click()
        expect(page.locator("#status")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()").split() == " ".join(WORDS).split()
        page.get_by_label("whole pages").check()
        page.reload()
        expect(page.get_by_label("whole pages")).to_be_checked()
        page.get_by_role("button", name="Try a sample").click()
        expect(page.locator("#list > li.read .row").nth(5)).to_be_visible()


def test_a_service_without_a_detector_says_so(browser: Browser) -> None:
    context = browser.new_context()
    replica = Replica(bundle=BUNDLE, detector="/nowhere/detector.onnx")
    with serving(replica) as address, tab(context, f"{address}/") as page:
        expect(page.locator("#dot")).to_have_class("dot on")
        expect(page.get_by_label("whole pages")).to_be_disabled()
        expect(page.locator("#about-kinds")).to_contain_text("/nowhere/detector.onnx")
    context.close()


def test_pages_fit_a_phone_and_the_dark(service: str, browser: Browser) -> None:
    seen = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        with tab(context, service) as page:
            card = put(page, "page.png", png(drawn()))
            assert all(fits(page, width_px) for width_px in (320, 400, 900, 1200))
            seen.append(card.evaluate("card => getComputedStyle(card).backgroundColor"))
        context.close()
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("query", "body", "status", "words"),
    [
        ("format=odt", b"{}", 422, "expected format=txt or json or hocr or alto"),
        ("format=txt", b"[", 422, "expected what POST /v1/pages answers"),
        ("format=txt", b'{"results": []}', 422, "results is a list; expected at least 1"),
        ("format=txt", b'{"results": [{"id": "a", "error": {}}]}', 422, "error has no 'code'"),
        ("format=txt", b'{"results": [{"id": "a"}]}', 422, "has no pages"),
        ("format=txt", b'{"results": [{"id": "a", "pages": [{"page": 1}]}]}', 422, "lacks width"),
        ("format=txt", b"," * 1_000_001, 413, "over 1000000 values"),
    ],
)
def test_no_document_of_what_is_no_answer(
    service: str, query: str, body: bytes, status: int, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answered = httpx.post(f"{service}v1/documents?{query}", content=body, headers=headers)
    assert answered.status_code == status, answered.text
    assert words in answered.json()["detail"]
