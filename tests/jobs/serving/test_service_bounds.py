"""A service with a token, allowed URLs and tight bounds: what it lets in, and what not."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crnn import Recognizer
from tests.crnn.poison import time_hog
from tests.jobs.serving.guarded import TOKEN, Pictures
from tests.jobs.serving.services import SHIPPED, Service, files, word_pictures
from tests.jobs.serving.test_recognize_http import problem

pytestmark = pytest.mark.slow
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def client(strict: Service) -> Iterator[httpx.Client]:
    with strict.client(headers=AUTHORIZED) as client:
        yield client


def test_requests_without_the_token_are_refused_and_health_is_open(strict: Service) -> None:
    with strict.client() as client:
        for given in (None, "Bearer wrong-horse-battery-staple", f"Basic {TOKEN}", "Bearer", TOKEN):
            headers = {} if given is None else {"Authorization": given}
            answer = client.post("/v1/recognize", files=files(word_pictures(1)), headers=headers)
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"] == 'Bearer realm="crnn"'
            assert TOKEN not in answer.text
        problem(client.post("/v1/pages", files=files(word_pictures(1))), 401, "unauthorized")
        for path in ("/v1/model", "/metrics", "/v1/jobs", "/v2", "/v2/models/crnn"):
            assert client.get(path).status_code == 401
        for path in ("/", "/healthz", "/readyz", "/docs", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} {TOKEN}"}
            assert client.get("/v1/model", headers=headers).status_code == 200
        security = client.get("/openapi.json").json()["paths"]["/v1/recognize"]["post"]["security"]
        assert security == [{"bearer": []}]
    assert TOKEN not in strict.log


def read_urls(client: httpx.Client, *urls: str) -> list[str]:
    """The text or the error code of each."""
    answer = client.post("/v1/recognize", json={"images": [{"url": url} for url in urls]})
    assert answer.status_code == 200, answer.text
    return [
        entry["error"]["code"] if "error" in entry else entry["text"]
        for entry in answer.json()["results"]
    ]


def test_only_urls_under_an_allowed_prefix_are_fetched(
    client: httpx.Client, pictures: Pictures
) -> None:
    text = Recognizer.load(SHIPPED, threads=1).read(word_pictures(1)[0]).text
    server = pictures.url
    assert read_urls(client, f"{server}/open/a.png", f"{server}/open/b.png") == [text, text]
    assert sorted(pictures.asked) == ["/open/a.png", "/open/b.png"]
    pictures.asked.clear()
    host = server.removeprefix("http://")
    refused = [
        f"{server}/private/secret.png",
        f"{server}/open",
        f"{server}/open/../private/secret.png",
        f"{server}/open/%2e%2e/private/secret.png",
        f"{server}/open/%252e%252e/private/secret.png",
        f"{server}/open/.%2e\\private/secret.png",
        f"http://user@{host}/open/a.png",
        f"HTTP://{host}/open/a.png",
        f"http://localhost:{host.rpartition(':')[2]}/open/a.png",
        f"http://2130706433:{host.rpartition(':')[2]}/open/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        f"{server}/open/a\n.png",
        f"{server}/open/ä.png",
    ]
    assert read_urls(client, *refused) == ["url_not_allowed"] * len(refused)
    assert pictures.asked == []


def test_a_url_is_not_followed_elsewhere_nor_beyond_the_bounds(
    client: httpx.Client, pictures: Pictures
) -> None:
    server = pictures.url
    pictures.asked.clear()
    urls = [f"{server}/open/{name}" for name in ("moved.png", "lost.txt", "huge.png")]
    assert read_urls(client, *urls) == ["fetch_failed", "fetch_failed", "too_large"]
    assert "/private/secret.png" not in pictures.asked


def test_more_than_the_queue_holds_is_told_to_come_back(strict: Service) -> None:
    pictures = word_pictures(20)

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=strict.url, timeout=60, headers=AUTHORIZED, limits=httpx.Limits()
        ) as client:
            calls = [client.post("/v1/recognize", files=files(pictures)) for _ in range(40)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(all_at_once())
    assert {answer.status_code for answer in answers} <= {200, 429, 504}
    busy = [answer for answer in answers if answer.status_code == 429]
    assert busy
    for answer in busy:
        problem(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    texts = {tuple(entry["text"] for entry in answer.json()["results"])
             for answer in answers if answer.status_code == 200}  # fmt: skip
    assert len(texts) == 1


def test_what_takes_too_long_is_given_up_in_time(client: httpx.Client) -> None:
    answer = client.post("/v1/recognize", files=files([time_hog()]))
    problem(answer, 504, "timed_out")
    assert int(answer.headers["retry-after"]) >= 1
    again = client.post("/v1/recognize", files=files(word_pictures(1)))
    assert again.status_code == 200, again.text


def test_a_body_that_comes_too_slowly_is_given_up(strict: Service) -> None:
    with socket.create_connection(("127.0.0.1", strict.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n{{".encode()
        )
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536) or pytest.fail(repr(answer))
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"slow_request" in answer


def test_callers_cannot_lift_the_bounds_of_ray_serve(client: httpx.Client) -> None:
    headers = {"x-request-timeout-seconds": "0", "x-request-disconnect-disabled": "?1"}
    answer = client.post("/v1/recognize", files=files([time_hog()]), headers=headers)
    problem(answer, 504, "timed_out")


def test_data_beside_urls_is_read(client: httpx.Client, pictures: Pictures) -> None:
    data = base64.b64encode(word_pictures(1)[0]).decode()
    images = [{"data": data}, {"url": f"{pictures.url}/open/a.png"}, {"url": "ftp://x/"}]
    answer = client.post("/v1/recognize", json={"images": images})
    first, second, third = answer.json()["results"]
    assert first["text"] == second["text"]
    assert third["error"]["code"] == "url_not_allowed"


@pytest.mark.parametrize("token", ["short", "with ünusual characters", ""])
def test_a_token_that_is_none_is_refused_without_showing_it(tmp_path: Path, token: str) -> None:
    from jobs.serving.access import read_token

    path = tmp_path / "token"
    path.write_text(token)
    with pytest.raises(ValueError, match="expected at least 16") as caught:
        read_token(str(path))
    assert not token or token not in str(caught.value)
    assert "CRNN_SERVE_TOKEN" not in os.environ
    assert read_token("") == ""
