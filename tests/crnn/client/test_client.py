"""The client against the service itself, and against servers that fail as services do."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from crnn.bundle.bundle import load_bundle
from crnn.client import AsyncClient, Client, Result
from crnn.client.retry import FIRST_WAIT_S, LONGEST_WAIT_S, wait_s
from crnn.errors import (
    AccessDeniedError,
    PictureError,
    RequestRefusedError,
    ServiceBusyError,
    ServiceError,
    ServiceUnreachableError,
)
from crnn.inference.recognizer import Recognizer
from jobs.serving.limits import Limits
from tests.crnn.pages.drawn import encrypted_pdf, in_file, receipt, turned
from tests.crnn.poison import encoded
from tests.jobs.nodes import free_port
from tests.jobs.runs import PROJECT
from tests.jobs.serving.local_server import Replica, serving
from tests.pipelines.evaluation_cases import rendered

BUNDLE = str(PROJECT / "bundles" / "strings")
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(BUNDLE)


class Failing:
    """In front of the service: answers its first requests as told, and counts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.answers: list[tuple[int, dict[str, str]] | None] = []
        self.asked = self.at_once = self.most_at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if not self.answers:
                await self._app(scope, receive, send)
            elif (answer := self.answers.pop(0)) is not None:
                await refuse(send, *answer)
        finally:
            self.at_once -= 1


async def refuse(send: Send, status: int, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b'{"detail": "as the test wants it"}'})


@pytest.fixture(scope="module")
def front() -> Failing:
    return Failing(Replica(bundle=BUNDLE, limits=Limits(body_mb=1)))


@pytest.fixture(scope="module")
def service(front: Failing) -> Iterator[str]:
    with serving(front) as address:
        yield address


@pytest.fixture
def client(front: Failing, service: str) -> Iterator[Client]:
    front.answers, front.asked, front.most_at_once = [], 0, 0
    with Client(service, retries=6) as client:
        yield client


def same(one: Result, other: Any) -> bool:
    """Equal, but for the last digits of what an engine computes in other batches."""
    texts = [
        (r.text, r.model, r.squeezed, r.turned, r.error_code, [c.char for c in r.chars])
        for r in (one, other)
    ]
    numbers = [[r.confidence, *(n for c in r.chars for n in c[1:])] for r in (one, other)]
    return texts[0] == texts[1] and np.allclose(numbers[0], numbers[1], atol=1e-3)


def test_whatever_a_caller_calls_a_picture(
    client: Client, recognizer: Recognizer, tmp_path: Path
) -> None:
    (tmp_path / "2048.png").write_bytes(rendered("2048"))
    image = Image.open(io.BytesIO(rendered("A-77"))).convert("RGB").convert("CMYK")
    grey = np.asarray(Image.open(io.BytesIO(rendered("31"))))
    pictures: list[Any] = [
        tmp_path / "2048.png",
        str(tmp_path / "2048.png"),
        rendered("55"),
        bytearray(rendered("56")),
        image,
        grey,
        np.stack([grey, grey, grey], axis=2),
    ]
    for picture in pictures:
        assert same(client.read(picture), recognizer.read(picture))
    results = client.read(picture for picture in pictures)
    assert isinstance(results, list)
    assert [r.text for r in results[:3]] == ["2048", "2048", "55"]
    assert all(map(same, results, recognizer.read(pictures)))
    assert client.read([]) == []


def test_an_open_file_is_one_picture(client: Client, recognizer: Recognizer) -> None:
    data = rendered("271")
    assert same(client.read(io.BytesIO(data)), recognizer.read(data))
    assert all(map(same, client.read([io.BytesIO(data), data]), recognizer.read([data, data])))
    assert client.read(io.BytesIO()).error_code == "empty_file"
    with pytest.raises(TypeError, match="mode 'rb'"):
        client.read(io.StringIO("text"))  # type: ignore[arg-type]


def test_bad_pictures_are_results_in_their_places(
    client: Client, front: Failing, recognizer: Recognizer, tmp_path: Path
) -> None:
    good = [rendered(str(number)) for number in range(100, 150)]
    bad = [b"junk", b"", tmp_path / "missing.png", tmp_path, np.zeros((0, 5), np.uint8),
           np.zeros((4, 4), np.float32)]  # fmt: skip
    pictures: list[Any] = [*good[:20], *bad, *good[20:]]
    results = client.read(pictures)
    assert [r.error_code for r in results if r.error_code] == [
        "undecodable", "empty_file", "not_found", "unreadable", "empty_picture",
        "unsupported_array",
    ]  # fmt: skip
    assert all(map(same, results, recognizer.read(pictures)))
    assert front.asked > 3
    assert 1 < front.most_at_once <= client.parallel
    alone = client.read(tmp_path / "missing.png")
    assert (alone.error_code, alone.text) == ("not_found", "")
    with pytest.raises(TypeError, match="not int"):
        client.read([7])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="one or several of them, not int"):
        client.read(7)  # type: ignore[call-overload]


def test_pages_of_whatever_a_caller_calls_a_page(
    client: Client, recognizer: Recognizer, tmp_path: Path
) -> None:
    page = turned(receipt(), 2)
    page.save(tmp_path / "page.png")
    wanted = recognizer.read_page(page)
    for form in (tmp_path / "page.png", encoded(page), page, np.asarray(page)):
        [found] = client.read_page(form)
        assert (found.number, found.width, found.height, found.turned) == (1, *page.size, 180)
        assert found.text == "\n".join(line.text for line in wanted) and found.error_code is None
        assert [sum(line.region, ()) for line in found.lines] == [line.region for line in wanted]
        assert all(same(a.result, b.result) for a, b in zip(found.lines, wanted, strict=True))
    file, second = io.BytesIO(), Image.new("1", (9_000, 5_000))
    more = {"append_images": [second], "compression": "tiff_deflate"}
    Image.new("1", (30, 20), 1).save(file, "TIFF", save_all=True, **more)
    blank, huge = client.read_page(file.getvalue(), chars=False, detect_px=640)
    assert (blank.lines, blank.text, blank.error_code) == ((), "", None)
    assert (huge.number, huge.error_code, huge.lines) == (2, "too_large", ())


def test_a_file_that_cant_be_opened_raises_as_in_a_program(client: Client, tmp_path: Path) -> None:
    for bad, code in (
        (b"junk", "undecodable"),
        (encrypted_pdf(), "encrypted"),
        (tmp_path / "none.pdf", "not_found"),
        (bytes(2 << 20), "too_large"),
        (in_file([Image.new("L", (30, 20))] * 33, "TIFF"), "too_many_pages"),
    ):
        with pytest.raises(PictureError) as caught:
            client.read_page(bad)
        assert caught.value.reason == code and str(caught.value)
    with pytest.raises(RequestRefusedError, match="64 to 2048"):
        client.read_page(encoded(receipt()), detect_px=9)


def test_options(client: Client, recognizer: Recognizer) -> None:
    picture = rendered("1234")
    words = ["1204", "7777"]
    assert same(
        client.read(picture, decoder="lexicon", lexicon=words),
        recognizer.read(picture, decoder="lexicon", lexicon=words),
    )
    assert client.read(picture, decoder="beam", chars=False).chars == ()
    with pytest.raises(RequestRefusedError, match="magic") as caught:
        client.read(picture, decoder="magic")
    assert caught.value.status == 422
    assert caught.value.problem["code"] == "invalid"
    with pytest.raises(ValueError, match="lexicon is the text 'ONE'"):
        client.read(picture, lexicon="ONE")


def test_a_request_that_is_too_large_is_halved(client: Client, front: Failing) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 1000), dtype=np.uint8)
    large = np.random.default_rng(1).integers(0, 256, (1200, 1000), dtype=np.uint8)
    results = client.read([noise] * 7 + [large] + [rendered("42")])
    assert [r.error_code for r in results] == [None] * 7 + ["too_large"] + [None]
    assert "1048576 bytes" in str(results[7].error_message)
    assert results[8].text == "42"
    assert front.asked > 3


@pytest.mark.parametrize(
    "answers",
    [
        [(503, {}), (502, {})],
        [(504, {}), (500, {})],
        [(408, {})],
        [(429, {"retry-after": "0"}), (503, {"retry-after": "Fri, 01 Jan 2021 00:00:00 GMT"})],
        [None, None],
    ],
)
def test_what_passes_is_asked_again(
    client: Client, front: Failing, answers: list[tuple[int, dict[str, str]] | None]
) -> None:
    front.answers = list(answers)
    assert client.read(rendered("8080")).text == "8080"
    assert front.asked == len(answers) + 1


def test_what_stays_is_told(service: str, front: Failing) -> None:
    picture = rendered("1")
    with Client(service, retries=1) as client:
        front.asked, front.answers = 0, [(503, {"retry-after": "0"}), (429, {"retry-after": "9"})]
        with pytest.raises(ServiceBusyError, match="429 Too Many Requests: as the test") as busy:
            client.read(picture)
        assert (busy.value.status, busy.value.retry_after_s, front.asked) == (429, 9.0, 2)
        front.asked, front.answers = 0, [(503, {"retry-after": "3600"}), (200, {})]
        with pytest.raises(ServiceBusyError):
            client.read(picture)
        assert front.asked == 1
        front.asked, front.answers = 0, [(404, {}), (200, {})]
        with pytest.raises(RequestRefusedError, match="v1/recognize answered 404"):
            client.read(picture)
        assert front.asked == 1
        front.answers = [(200, {})]
        with pytest.raises(ServiceError, match="not one of a recognition service"):
            client.read(picture)
        front.answers = []
    nowhere = f"http://127.0.0.1:{free_port()}"
    with Client(nowhere, retries=1) as client:
        assert not client.ready()
        with pytest.raises(ServiceUnreachableError, match=nowhere):
            client.read(picture)
        with pytest.raises(ServiceUnreachableError, match="check the address"):
            client.read([picture] * 40)


def test_the_wait_grows_is_spread_and_heeds_the_service() -> None:
    def answer(value: str | None) -> httpx.Response:
        return httpx.Response(503, headers={} if value is None else {"Retry-After": value})

    for attempt in range(12):
        bound = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
        waits = [wait_s(answer(None), attempt) or 0.0 for _ in range(300)]
        assert all(0 <= wait <= bound for wait in waits)
        assert max(waits) > 0.8 * bound and min(waits) < 0.2 * bound
        assert (wait_s(answer("7"), attempt) or 0) >= 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < (wait_s(answer(soon), 0) or 0) < 21
    assert wait_s(answer("in a while"), 0) is not None
    assert wait_s(answer(str(LONGEST_WAIT_S + 1).split(".")[0]), 0) is None


def test_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with serving(Replica(bundle=BUNDLE, token_file=str(tmp_path / "token"))) as address:
        with Client(address, TOKEN) as client:
            assert client.ready()
            info = client.model()
            assert (info.name, info.digest) == ("strings", load_bundle(BUNDLE).digest)
            assert info.details["limits"]["pictures"] == 256
            assert client.read(rendered("12")).text == "12"
        for token in (None, "another-token-altogether"):
            with Client(address, token) as client, pytest.raises(AccessDeniedError, match="token="):
                client.read(rendered("12"))


def test_without_blocking(front: Failing, service: str, recognizer: Recognizer) -> None:
    pictures = [*(rendered(str(number)) for number in range(60)), b"junk"]

    async def all_of_it() -> list[Result]:
        async with AsyncClient(service, parallel=3) as client:
            assert await client.ready()
            assert (await client.model()).name == "strings"
            front.answers, front.most_at_once = [(503, {}), None], 0
            one, many = await asyncio.gather(client.read(pictures[5]), client.read(pictures))
            assert one.text == many[5].text == "5"
            assert front.most_at_once <= 4
            with pytest.raises(RequestRefusedError):
                await client.read(pictures, decoder="magic")
            return many

    assert all(map(same, asyncio.run(all_of_it()), recognizer.read(pictures)))


def job(state: str, done: int) -> dict[str, Any]:
    return {"id": "a-1", "state": state, "done": done, "failed": 0, "total": 9, "listed": True,
            "rate": None, "seconds_left": None, "error": None, "report": None}  # fmt: skip


class Jobs:
    """A service with one bulk job, which is further at each look; notes what it was asked."""

    def __init__(self) -> None:
        self.states = [job("queued", 0), job("reading", 5), job("finished", 9)]
        self.asked: list[tuple[str, str]] = []
        self.keys: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.asked.append((scope["method"], scope["path"]))
        self.keys += [value for name, value in scope["headers"] if name == b"idempotency-key"]
        if scope["method"] == "POST" and len(self.keys) == 1:
            return  # the connection ends without an answer
        states = self.states
        found: Any = states.pop(0) if len(states) > 1 and scope["method"] == "GET" else states[0]
        if scope["path"].endswith("jobs") and scope["method"] == "GET":
            found = {"jobs": [found], "before": None}
        body = json.dumps(found).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def test_jobs() -> None:
    app = Jobs()
    with serving(app) as address, Client(address) as client:
        began = client.start_job("s3://b/in", "s3://b/out", decoder="greedy")
        assert (began.state, began.ended, began.details["total"]) == ("queued", False, 9)
        assert len(app.keys) == 2 and app.keys[0] == app.keys[1]
        with pytest.raises(TimeoutError, match=r"job a-1 is queued after 0 s, 0 of 9"):
            client.wait("a-1", timeout_s=0)
        done = client.wait("a-1", poll_s=0.01)
        assert (done.state, done.ended, done.done) == ("finished", True, 9)
        assert client.jobs(limit=3) == [done]
        assert client.cancel_job("a-1") == done
        assert ("DELETE", "/v1/jobs/a-1") in app.asked
        with pytest.raises(ValueError, match=r"job_id is '\.\./model'"):
            client.job("../model")


def test_it_needs_no_more_than_it_says() -> None:
    heavy = "{'torch', 'numpy', 'PIL', 'pyarrow', 'cv2', 'ray'} & set(sys.modules)"
    light = f"import sys, crnn.client; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", light], cwd=PROJECT, check=True)
    without = "import sys; sys.modules['httpx'] = None; import crnn.client"
    done = subprocess.run(
        [sys.executable, "-c", without], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "pip install 'crnn-on-ray[client]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url is 'localhost:8000'; expected http"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"parallel": 0}, "parallel is 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Client(**{"base_url": "http://127.0.0.1:1", **arguments})
