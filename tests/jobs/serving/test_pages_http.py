"""``POST /v1/pages``: whole pages, as callers read them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from crnn import Recognizer
from crnn.errors import DataError
from crnn.online import OnlineConfig
from crnn.pages import DbDetector, detector_graph, graph
from jobs.serving.pages.settings import PagesSettings
from jobs.serving.settings import ServeSettings
from jobs.serving.shipped import chosen
from tests.crnn.pages.drawn import encrypted_pdf, in_file, receipt, turned
from tests.crnn.poison import encoded
from tests.jobs.serving.local_server import Replica, serving
from tests.jobs.serving.services import SHIPPED, Service, files, word_pictures
from tests.jobs.serving.test_recognize_http import problem
from tests.jobs.serving.test_service_status import settled


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@cache
def recognizer() -> Recognizer:
    return Recognizer.load(SHIPPED, threads=1)


@contextmanager
def alone(**settings: Any) -> Iterator[httpx.Client]:
    """A client of a service of its own, without Ray."""
    online = OnlineConfig(engine="onnx", engine_threads=1)
    with (
        serving(Replica(bundle=str(SHIPPED), online=online, **settings)) as address,
        httpx.Client(base_url=address, timeout=100) as client,
    ):
        yield client


def as_json(data: list[bytes], **options: Any) -> dict[str, Any]:
    pages = [{"id": f"n{i}", "data": base64.b64encode(one).decode()} for i, one in enumerate(data)]
    return {"pages": pages, "options": options}


def expected(data: bytes, number: int = 1, **options: Any) -> list[dict[str, Any]]:
    """The lines that the recognizer gives in a program, as the service writes them."""
    found = recognizer().read_page(data, number=number, **options)
    return [
        {
            "line": place,
            "text": line.text,
            "confidence": pytest.approx(line.result.confidence, abs=1e-4),
            "region": [list(line.region[at : at + 2]) for at in range(0, 8, 2)],
            "chars": [
                {"char": c.char, "probability": pytest.approx(c.probability, abs=1e-4),
                 "x0": c.x0, "x1": c.x1}
                for c in line.result.chars
            ],
        }
        for place, line in enumerate(found, 1)
    ]  # fmt: skip


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_a_page_has_the_lines_that_the_recognizer_finds(client: httpx.Client) -> None:
    data = encoded(receipt())
    form = client.post("/v1/pages", files=files([data]))
    body = client.post("/v1/pages", json=as_json([data]))
    page = {"page": 1, "width": 560, "height": 560, "turned": 0, "lines": expected(data)}
    assert len(page["lines"]) == 6 and page["lines"][0]["text"] == "INV:100-7K-2044"
    assert results(form) == [{"id": "0.png", "pages": [page]}]
    assert results(body) == [{"id": "n0", "pages": [page]}]
    bundle = recognizer().bundle
    assert body.json()["model"] == {"name": bundle.name, "digest": bundle.digest}


def test_what_cant_be_opened_is_an_error_in_its_place(client: httpx.Client) -> None:
    data = encoded(receipt())
    huge = in_file([Image.new("L", (30, 20)), Image.new("L", (2_001, 1_000))], "TIFF")
    wanted = client.post("/v1/pages", files=files([encrypted_pdf(), data, huge]))
    locked, good, pages = results(wanted)
    assert set(locked) == {"id", "error"} and locked["error"]["code"] == "encrypted"
    assert good["pages"][0]["lines"] == expected(data)
    assert pages["pages"][0] == {"page": 1, "width": 30, "height": 20, "turned": 0, "lines": []}
    assert pages["pages"][1]["error"]["code"] == "too_large"
    four = in_file([receipt()] * 4, "PDF")
    many, good, broken = results(client.post("/v1/pages", files=files([four, data, b"%PDF-1.7"])))
    assert many["error"]["code"] == "too_many_pages" and "limit of 3" in many["error"]["message"]
    assert good["pages"][0]["lines"] == expected(data)
    assert broken["error"]["code"] == "undecodable"


def test_pages_of_a_pdf_are_drawn_and_read_as_asked_for(client: httpx.Client) -> None:
    """At the resolution asked for, the other way up, with options in form, query and JSON."""
    document = in_file([receipt(), turned(receipt(200), 2)], "PDF")
    options = {"dpi": 100, "detect_px": 640, "chars": False}
    detector = DbDetector(graph=detector_graph(), longest_px=640)
    wanted = [expected(document, n, dpi=100, detector=detector) for n in (1, 2)]
    for line in (line for page in wanted for line in page):
        del line["chars"]
    fields = {name: str(value).lower() for name, value in options.items()}
    for answer in (
        client.post("/v1/pages", files=files([document]), data=fields),
        client.post("/v1/pages", files=files([document]), params=fields),
        client.post("/v1/pages", json=as_json([document], **options)),
    ):
        [found] = results(answer)
        assert [page["lines"] for page in found["pages"]] == wanted
        assert [(page["page"], page["turned"]) for page in found["pages"]] == [(1, 0), (2, 180)]
        assert found["pages"][1]["lines"][0]["text"] == "INV:200-7K-2044"
    words = ["INV:100-7K-2044", "INV:205-7K-2044"]
    answer = client.post(
        "/v1/pages", json=as_json([document], lexicon=words, min_confidence=1, dpi=100)
    )
    line = results(answer)[0]["pages"][1]["lines"][-1]
    assert line["text"] == words[1] and line["error"]["code"] == "low_confidence"


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"images": []}, 422, "invalid", "expected pages, options"),
        ({"pages": []}, 422, "invalid", "no picture"),
        ({"pages": [{"data": 1}]}, 422, "invalid", "pages[0]"),
        ({"pages": [{"data": ""}] * 5}, 413, "too_many_pages", "over 4 pages"),
        ({"pages": [{"data": ""}], "options": {"dpi": "9"}}, 422, "invalid", "dpi is '9'"),
        ({"pages": [{"data": ""}], "options": {"dpi": 9}}, 422, "invalid", "18 to 1200"),
        ({"pages": [{"data": ""}], "options": {"detect_px": 9_000}}, 422, "invalid", "64 to 2048"),
        ({"pages": [{"data": ""}], "options": {"detector": "x"}}, 422, "invalid", "detect_px"),
        ({"pages": [{"data": "A" * (4 << 20)}]}, 413, "too_large", "over 4194304 bytes"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    client: httpx.Client, body: dict[str, Any], status: int, code: str, words: str
) -> None:
    assert words in problem(client.post("/v1/pages", json=body), status, code)


def test_more_pages_than_allowed_at_once_are_refused(client: httpx.Client) -> None:
    three = in_file([receipt()] * 3, "PDF")
    answer = client.post("/v1/pages", files=files([three, three]))
    assert "the files have 6 pages" in problem(answer, 413, "too_many_pages")
    answer = client.post("/v1/recognize", json={"images": [{"data": ""}], "options": {"dpi": 99}})
    assert "expected chars" in problem(answer, 422, "invalid")


def test_a_neighbour_is_answered_while_pages_are_in_work(service: Service) -> None:
    [word] = word_pictures(1)
    book = in_file([receipt(100 * n) for n in range(3)], "TIFF")
    with service.client() as client, ThreadPoolExecutor(1) as thread:
        pages = thread.submit(service.client().post, "/v1/pages", files=files([book]))
        answered = 0
        while not pages.done():
            answer = client.post("/v1/recognize", files=files([word]))
            assert results(answer)[0]["text"] == "7K-204"
            answered += not pages.done()
        assert answered > 1
        assert len(results(pages.result())[0]["pages"]) == 3


@pytest.mark.slow
def test_metrics_count_pages_and_lines_not_pictures(client: httpx.Client) -> None:
    before = settled(client)
    data = encoded(receipt())
    for _ in range(2):
        results(client.post("/v1/pages", files=files([data, b"no picture"])))
    after = settled(client)
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert grown['crnn_pages_total{outcome="read"}'] == 2
    assert grown['crnn_pages_total{outcome="undecodable"}'] == 2
    assert grown["crnn_page_lines_total"] == 12
    assert grown["crnn_page_seconds_count"] == 2
    assert grown['crnn_requests_total{path="/v1/pages",status="200"}'] == 2
    assert after["crnn_pages_waiting"] == 0
    assert not grown.get('crnn_pictures_total{outcome="read"}')


def test_a_full_queue_says_when_to_come_back() -> None:
    book = in_file([receipt(), receipt()], "TIFF")
    with alone(pages=PagesSettings(queue=2, per_request=2)) as client:

        async def all_at_once() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=client.base_url, timeout=100) as many:
                calls = [many.post("/v1/pages", files=files([book])) for _ in range(8)]
                return await asyncio.gather(*calls)

        answers = asyncio.run(all_at_once())
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused and len(refused) < 8
        for answer in refused:
            assert "pages are queued" in problem(answer, 429, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
        model = client.get("/v1/model").json()
        assert (model["pages"]["available"], model["pages"]["queue"]) == (True, 2)


def test_pages_have_a_time_of_their_own() -> None:
    with alone(pages=PagesSettings(request_s=0.02)) as client:
        answer = client.post("/v1/pages", files=files([encoded(receipt())]))
        problem(answer, 504, "timed_out")
        assert int(answer.headers["retry-after"]) >= 1
        answer = client.post("/v1/recognize", files=files(word_pictures(1)))
        assert results(answer)[0]["text"] == "7K-204"


def test_without_a_detector_the_service_starts_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "PACKAGE", "no-such-package")
    with alone(detector="no-such-package") as client:
        answer = client.post("/v1/pages", files=files([encoded(receipt())]))
        assert "pip install 'crnn-on-ray[pages]'" in problem(answer, 501, "not_installed")
        assert client.get("/v1/model").json()["pages"]["available"] is False
        assert client.post("/v1/recognize", files=files(word_pictures(1))).is_success


def test_a_detector_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected an ONNX file of the DB family"):
        chosen(ServeSettings(bundle=str(SHIPPED), detector=str(tmp_path / "none.onnx")))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"queue": 3, "per_request": 4}, "room for one request"),
        ({"detect_px": 3_000}, "detect_px ≤ max_detect_px"),
        ({"request_s": 0.0}, "seconds above 0"),
        ({"dpi": 3}, "18 to 1200"),
        ({"at_once": 0}, "pages.at_once is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PagesSettings(**settings)
