"""``POST /v1/recognize`` as callers use it, and how it refuses what it can't take."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest

from crnn import Recognizer
from tests.crnn.poison import encoded, flat_png, noise
from tests.jobs.serving.services import (
    SHIPPED,
    Service,
    answer_to_endless_body,
    files,
    word_pictures,
)

JSON = {"content-type": "application/json"}


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@cache
def recognizer() -> Recognizer:
    return Recognizer.load(SHIPPED, threads=1)


def as_json(pictures: list[bytes], **options: Any) -> dict[str, Any]:
    images = [
        {"id": f"n{i}", "data": base64.b64encode(data).decode()} for i, data in enumerate(pictures)
    ]
    return {"images": images, "options": options}


def expected(pictures: list[bytes], **options: Any) -> list[dict[str, Any]]:
    """The results that the recognizer gives in a program, as the service writes them."""
    return [
        {
            "text": result.text,
            "confidence": pytest.approx(result.confidence, abs=1e-4),
            "squeezed": result.squeezed,
            "turned": result.turned,
            "chars": [
                {"char": c.char, "probability": pytest.approx(c.probability, abs=1e-4),
                 "x0": c.x0, "x1": c.x1}
                for c in result.chars
            ],
        }
        for result in recognizer().read(pictures, **options)
    ]  # fmt: skip


def without_ids(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [{k: v for k, v in r.items() if k != "id"} for r in answer.json()["results"]]


def problem(answer: httpx.Response, status: int, code: str) -> str:
    """The detail of a problem, once it is one, whole and of this kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"/docs#{code}"
    assert document["title"]
    return str(document["detail"])


def test_both_forms_give_what_the_recognizer_gives_in_their_order(client: httpx.Client) -> None:
    pictures = word_pictures(24)
    form = client.post("/v1/recognize", files=files(pictures))
    assert without_ids(form) == expected(pictures)
    assert [r["id"] for r in form.json()["results"]] == [f"{i}.png" for i in range(24)]
    answer = client.post("/v1/recognize", json=as_json(pictures))
    assert without_ids(answer) == expected(pictures)
    assert [r["id"] for r in answer.json()["results"]] == [f"n{i}" for i in range(24)]
    bundle = recognizer().bundle
    assert answer.json()["model"] == {"name": bundle.name, "digest": bundle.digest}


def test_a_bad_picture_is_its_own_error_and_its_neighbours_are_read(client: httpx.Client) -> None:
    good = word_pictures(2)
    bad = {
        "undecodable": b"<html>no picture</html>",
        "empty_file": b"",
        "too_large": flat_png(1_001, 1_000, 0, 1),
    }
    for code, data in bad.items():
        answer = client.post("/v1/recognize", files=files([good[0], data, good[1]]))
        first, middle, last = without_ids(answer)
        assert [first, last] == expected(good)
        assert middle["error"]["code"] == code
        assert set(middle) == {"error"}
    body = as_json(good)
    body["images"].insert(1, {"data": "not base64!"})
    first, middle, last = without_ids(client.post("/v1/recognize", json=body))
    assert [first, last] == expected(good)
    assert middle["error"]["code"] == "bad_base64"


def test_options_mean_the_same_in_query_form_and_json(client: httpx.Client) -> None:
    pictures = word_pictures(6)
    words = ["7K-204", "INV:1013", "PO1999", "€12,-"]
    wanted = expected(pictures, lexicon=words)
    for entry in wanted:
        del entry["chars"]
    query = {"lexicon": words, "chars": "false"}
    form = {"lexicon": "\n".join(words), "chars": "0", "decoder": "lexicon"}
    options = {"options": json.dumps({"lexicon": words, "chars": False})}
    for answer in (
        client.post("/v1/recognize", files=files(pictures), params=query),
        client.post("/v1/recognize", files=files(pictures), data=form),
        client.post("/v1/recognize", files=files(pictures), data=options),
        client.post("/v1/recognize", json=as_json(pictures, lexicon=words, chars=False)),
        client.post("/v1/recognize", json=as_json(pictures, chars=False), params=query),
    ):
        assert without_ids(answer) == wanted
    beam = client.post("/v1/recognize", json=as_json(pictures, decoder="beam"))
    assert without_ids(beam) == expected(pictures, decoder="beam")


def test_a_reading_less_sure_than_wanted_is_an_error_that_keeps_its_text(
    client: httpx.Client,
) -> None:
    pictures = [*word_pictures(3), encoded(noise(90, 30))]
    plain = without_ids(client.post("/v1/recognize", files=files(pictures)))
    least = sorted(entry["confidence"] for entry in plain)[0] + 1e-6
    answer = client.post("/v1/recognize", files=files(pictures), params={"min_confidence": least})
    marked = without_ids(answer)
    assert [entry.pop("error", {}).get("code") for entry in marked] == [
        "low_confidence" if entry["confidence"] < least else None for entry in plain
    ]
    assert marked == plain


def test_many_callers_at_once_get_each_their_own(service: Service) -> None:
    pictures = word_pictures(40)
    texts = [result.text for result in recognizer().read(pictures)]

    async def all_at_once() -> list[list[str]]:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:

            async def one(n: int) -> list[str]:
                mine = [pictures[(n + k) % 40] for k in range(1 + n % 5)]
                answer = await client.post("/v1/recognize", files=files(mine))
                assert answer.status_code == 200, answer.text
                return [entry["text"] for entry in answer.json()["results"]]

            return await asyncio.gather(*map(one, range(120)))

    read = asyncio.run(all_at_once())
    assert read == [[texts[(n + k) % 40] for k in range(1 + n % 5)] for n in range(120)]


BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\n'
IMAGE = {"data": ""}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "words"),
    [
        (b"{", JSON, 400, "malformed", "not JSON"),
        (b'{"images":[{"data":"\xff"}]}', JSON, 400, "malformed", "not JSON"),
        (b"[1]", JSON, 422, "invalid", "a list"),
        (b"{}", JSON, 422, "invalid", "the body has no 'images'"),
        ({"images": []}, JSON, 422, "invalid", "no picture"),
        ({"images": [1]}, JSON, 422, "invalid", "images[0] is 1; expected an object"),
        ({"images": [{"data": 5}]}, JSON, 422, "invalid", "images[0]"),
        ({"images": [{"data": "", "url": "http://x/"}]}, JSON, 422, "invalid", "both"),
        ({"images": [{"data": "", "id": 3}]}, JSON, 422, "invalid", "images[0].id"),
        ({"images": [{"data": "", "name": "a"}]}, JSON, 422, "invalid", "expected id, data, url"),
        ({"images": [IMAGE], "option": {}}, JSON, 422, "invalid", "expected images, options"),
        ({"images": [IMAGE], "options": []}, JSON, 422, "invalid", "options is a list"),
        ({"images": [IMAGE], "options": {"char": 1}}, JSON, 422, "invalid", "expected chars"),
        ({"images": [IMAGE], "options": {"chars": 1}}, JSON, 422, "invalid", "chars is 1; exp"),
        ({"images": [IMAGE], "options": {"decoder": "x"}}, JSON, 422, "invalid", "greedy"),
        ({"images": [IMAGE], "options": {"decoder": "lexicon"}}, JSON, 422, "invalid", "needs"),
        ({"images": [IMAGE], "options": {"decoder": "fusion"}}, JSON, 422, "invalid", "a language"),
        ({"images": [IMAGE], "options": {"lexicon": "a"}}, JSON, 422, "invalid", "is 'a'; exp"),
        ({"images": [IMAGE], "options": {"lexicon": []}}, JSON, 422, "invalid", "0 words"),
        (
            {"images": [IMAGE], "options": {"lexicon": ["A"], "decoder": "beam"}},
            JSON, 422, "invalid", "takes no lexicon",
        ),
        (
            {"images": [IMAGE], "options": {"lexicon": ["ж", "ю"]}},
            JSON, 422, "invalid", "none of the lexicon's 2 words",
        ),
        (
            {"images": [IMAGE], "options": {"lexicon": ["A"] * 1001}},
            JSON, 422, "invalid", "expected 1 to 1000",
        ),
        ({"images": [IMAGE], "options": {"min_confidence": 2}}, JSON, 422, "invalid", "0 to 1"),
        ({"images": [IMAGE] * 41}, JSON, 413, "too_many_pictures", "over 40"),
        (b"x", {}, 415, "unsupported_media_type", "expected multipart/form-data"),
        (b"x", {"content-type": "image/png"}, 415, "unsupported_media_type", "image/png"),
        (
            gzip.compress(b'{"images":[]}', mtime=0), JSON | {"content-encoding": "gzip"},
            415, "unsupported_media_type", "Content-Encoding",
        ),
        (b"x", {"content-type": "multipart/form-data"}, 400, "malformed", "no boundary"),
        (b"x", BOUNDARY, 400, "malformed", "multipart"),
        (PART + b"abc", BOUNDARY, 400, "malformed", "cut"),
        (b"--b\r\n\r\nabc\r\n--b--\r\n", BOUNDARY, 400, "malformed", "Disposition"),
        (PART.replace(b"files", b"file") + b"a\r\n--b--\r\n", BOUNDARY, 422, "invalid", "files"),
        (
            (PART + b"a\r\n") * 41 + b"--b--\r\n", BOUNDARY,
            413, "too_many_pictures", "over 40",
        ),
        (
            (PART + b"a\r\n") * 200 + b"--b--\r\n", BOUNDARY,
            413, "too_many_pictures", "parts",
        ),
        (bytes((4 << 20) + 1), JSON, 413, "too_large", "over 4194304 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_with_the_status_it_deserves(
    client: httpx.Client,
    body: Any,
    headers: dict[str, str],
    status: int,
    code: str,
    words: str,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post("/v1/recognize", content=content, headers=headers)
    assert words in problem(answer, status, code)


@pytest.mark.parametrize(
    ("query", "words"),
    [("chars=maybe", "true or false"), ("colour=red", "expected chars"), ("min_confidence=a", "")],
)
def test_a_query_that_makes_no_sense_is_invalid(
    client: httpx.Client, query: str, words: str
) -> None:
    answer = client.post(f"/v1/recognize?{query}", files=files(word_pictures(1)))
    assert words in problem(answer, 422, "invalid")


def test_a_body_without_a_length_is_counted_while_it_comes(service: Service) -> None:
    answer, sent = answer_to_endless_body(service.port)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b"too_large" in answer
    assert sent < 32 << 20


def test_paths_and_methods_that_are_not_there_say_so(client: httpx.Client) -> None:
    problem(client.get("/v1/nothing"), 404, "not_found")
    wrong = client.get("/v1/recognize")
    problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    problem(client.post("/v1/model"), 405, "method_not_allowed")
