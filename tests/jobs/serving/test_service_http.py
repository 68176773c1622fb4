"""HTTP itself, as the service speaks it through both ingresses."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.serving.guarded import BODY_MIB, TOKEN, Pictures, guarded_service
from tests.jobs.serving.services import Service, files, word_pictures
from tests.jobs.serving.test_recognize_http import problem

pytestmark = pytest.mark.slow
SECRET_TEXT = "ZEBRA-CROSSING-7431"


@pytest.fixture(scope="module", params=["haproxy", "proxy"])
def guarded(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    pictures: Pictures,
) -> Iterator[Service]:
    if request.param == "haproxy":
        yield request.getfixturevalue("strict")
        return
    folder = tmp_path_factory.mktemp("guarded")
    with guarded_service(folder, pictures, "--ingress", request.param) as running:
        yield running


def exchange(
    service: Service, *requests: bytes, waits: bool = False
) -> list[tuple[int, dict[str, str], bytes]]:
    """Requests sent on one connection, and the answers until it closes or all are there.

    Sent at once, or (``waits``) each when the one before is answered.
    """
    found: list[tuple[int, dict[str, str], bytes]] = []
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(requests[0] if waits else b"".join(requests))
        file = connection.makefile("rb")
        while len(found) < len(requests) and (line := file.readline()):
            headers = {}
            while (header := file.readline().strip()) != b"":
                name, _, value = header.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = file.read(int(headers.get("content-length", 0)))
            found.append((int(line.split()[1]), headers, body))
            if waits and len(found) < len(requests):
                connection.sendall(requests[len(found)])
    return found


def post(body: bytes, *headers: str, path: str = "/v1/recognize") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


AUTHORIZED = f"Authorization: Bearer {TOKEN}"
JSON = "Content-Type: application/json"


def test_a_connection_goes_on_after_an_error(guarded: Service) -> None:
    """Whose body was not read: what comes next is the next request, and no part of it."""
    hidden = post(b"{}", AUTHORIZED, JSON, path="/v1/nothing")
    asked = (
        post(hidden, JSON),
        post(hidden, AUTHORIZED, JSON, path="/v1/nothing"),
        post(hidden, AUTHORIZED, JSON, path="/v1/model"),
        post(hidden, AUTHORIZED, JSON),
        post(b'{"images":[{"data":""}]}', AUTHORIZED, JSON),
    )
    answers = exchange(guarded, *asked)
    assert [status for status, _, _ in answers] == [401, 404, 405, 400, 200]


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
WEB_SOCKET = UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"dA" * 11 + b"==\r\n"
NOT_HTTP = [
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"G\xc3\x89T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: y:1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    GET + b"Bad Header: 1\r\n\r\n",
    GET + b"Header: \x00\r\n\r\n",
    GET + b": empty\r\n\r\n",
    GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    GET + b"Content-Length: 99999999999999999999999999\r\n\r\n",
    GET + b"Transfer-Encoding: gzip, chunked, gzip\r\n\r\n",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 1e3\r\n\r\n",
    POST + CHUNKED + b"xyz\r\n\r\n",
    POST + b"Transfer-Encoding: gzip\r\n\r\n",
]
NOT_FOR_HAPROXY = [  # uvicorn is less strict
    b"GET /healthz\r\n\r\n",
    b"GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.0\r\n" + CHUNKED + b"0\r\n\r\n",
    GET + b"Host: y\r\n\r\n",
    GET + b"".join(b"X-%d: 1\r\n" % i for i in range(150)) + b"\r\n",
    GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
    GET + UPGRADE + b"\r\n",
]


def test_what_is_no_http_is_refused_as_any_other_request(
    guarded: Service, request: pytest.FixtureRequest
) -> None:
    """Alone and on a connection that was good until then."""
    is_haproxy = request.node.callspec.params["guarded"] == "haproxy"
    for asked in NOT_HTTP + (NOT_FOR_HAPROXY if is_haproxy else []):
        for before in ([], [GET + b"\r\n"]):
            *good, (status, headers, body) = exchange(guarded, *before, asked, waits=True)
            assert [status for status, _, _ in good] == [200] * len(before)
            assert status == 400, (asked, body)
            assert headers["content-type"] == "application/problem+json", (asked, body)
            document = json.loads(body)
            assert (document["status"], document["code"]) == (400, "malformed"), asked
            assert document["title"] == "Bad Request" and document["detail"], asked
    with guarded.client() as client:
        assert client.get("/readyz").status_code == 200


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("wish", [WEB_SOCKET, WEB_SOCKET.replace(b"13", b"12"), H2C])
def test_a_wish_for_another_protocol_is_ignored(
    guarded: Service, request: pytest.FixtureRequest, wish: bytes
) -> None:
    """RFC 9110, 7.8, allows it. Java's client wishes for HTTP/2 with every first request."""
    [(status, _, _)] = exchange(guarded, GET + wish + b"\r\n")
    assert status == 200
    body = b'{"images":[{"data":""}]}'
    asked = post(body, AUTHORIZED, JSON).replace(b"\r\n\r\n", b"\r\n" + wish + b"\r\n", 1)
    [(status, _, found)] = exchange(guarded, asked)
    if request.node.callspec.params["guarded"] == "haproxy":
        assert status == 200 and b"results" in found
    else:  # never read as if it were empty
        assert status == 400 and b"without the header Upgrade" in found


def test_two_lengths_of_one_body_smuggle_nothing(guarded: Service) -> None:
    """RFC 9112, 6.3: the chunks count, and what is behind them is no request of ours."""
    request = (
        b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        + AUTHORIZED.encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    answers = exchange(guarded, request, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [status for status, _, _ in answers] in ([404, 200], [404], [400])


def test_head_options_and_other_methods(guarded: Service) -> None:
    with guarded.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for path in ("/", "/healthz", "/readyz", "/v1/model", "/docs", "/openapi.json"):
            head, got = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-type"] == got.headers["content-type"]
        problem(client.get("/v1/model/"), 404, "not_found")
        for method, path, allow in (
            ("HEAD", "/v1/recognize", "POST"),
            ("OPTIONS", "/v1/recognize", "POST"),
            ("TRACE", "/v1/recognize", "POST"),
            ("GET", "/v1/pages", "POST"),
            ("OPTIONS", "/v1/model", "GET, HEAD"),
            ("PUT", "/v1/jobs", "GET, HEAD, POST"),
            ("PATCH", "/v1/jobs/x", "DELETE, GET, HEAD"),
        ):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allow), path
            if method != "HEAD":
                problem(answer, 405, "method_not_allowed")


def test_other_sites_may_not_ask(guarded: Service) -> None:
    """No CORS: browsers show no answer to a page of elsewhere, and send no JSON for it."""
    with guarded.client(headers={"Origin": "https://elsewhere.example"}) as client:
        preflight = {"Access-Control-Request-Method": "POST"}
        answers = [
            client.options("/v1/jobs", headers=preflight),
            client.get("/readyz"),
            client.get("/"),
        ]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not answers[0].is_success


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "["},
        {"Host": ""},
        {"x-request-id": b"\xff\xfe"},
        {"x-request-id": "a" * 5000},
        {"serve_multiplexed_model_id": b"\xff"},
        {"serve-multiplexed-model-id": "a"},
        {"x-session-id": b"\xff"},
        {"x_session_id": b"\xff"},
        {"cookie": "a=" + "b" * 8000},
        {"authorization": b"Bearer \xff"},
        {"content-length": "0" * 30},
    ],
)  # fmt: skip
def test_no_header_makes_it_fail(guarded: Service, headers: dict[str, str | bytes]) -> None:
    fields = [(k.encode(), v if isinstance(v, bytes) else v.encode()) for k, v in headers.items()]
    lines = [name + b": " + value for name, value in fields]
    if b"Host" not in dict(fields):
        lines.append(b"Host: x")
    head = b"\r\n".join([b"GET /v1/nothing%0Ax HTTP/1.1", *lines, b"", b""])
    [(status, answered, _)] = exchange(guarded, head)
    assert status in (400, 401), (status, answered)


def test_ids_of_requests_are_taken_over_where_they_are_plain(guarded: Service) -> None:
    with guarded.client() as client:
        assert (
            client.get("/readyz", headers={"x-request-id": "a-1"}).headers["x-request-id"] == "a-1"
        )
        given = [client.get("/readyz").headers["x-request-id"] for _ in range(2)]
        odd = client.get("/readyz", headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
    assert len({*given, odd, "a b\tc"}) == 4
    assert all(re.fullmatch(r"[\w-]{8,}", name) for name in [*given, odd])


def test_a_body_in_a_coding_is_told_which_it_may_have(guarded: Service) -> None:
    with guarded.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for path in ("/v1/recognize", "/v1/pages", "/v1/jobs"):
            headers = {"content-encoding": "gzip", "content-type": "application/json"}
            answer = client.post(path, content=b"x", headers=headers)
            problem(answer, 415, "unsupported_media_type")
            assert answer.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code", "words"),
    [
        (b"{", "application/json", 400, "malformed", "not JSON"),
        (b'{"input":"\\ud800"}', "application/json", 400, "malformed", "not JSON"),
        (b"", "application/json", 400, "malformed", "not JSON"),
        (b"[]", "application/json", 422, "invalid", "a list"),
        (b"{}", "application/json", 422, "invalid", "the body has no 'input'"),
        (b'{"input":"/x","output":"/x"}', "text/plain", 415, "unsupported_media_type", "text/pl"),
        (b'{"input":"/x","output":"/x"}', "", 415, "unsupported_media_type", "expected appl"),
        (b'{"input":"/x","output":"/x"}', "application/json", 422, "invalid", "expected an addr"),
        (b'{"input":NaN,"output":"/x"}', "application/json", 400, "malformed", "not JSON"),
        (bytes((BODY_MIB << 20) + 1), "application/json", 413, "too_large", "over 1048576 bytes"),
    ],
)
def test_jobs_are_refused_with_the_status_they_deserve(
    guarded: Service, body: bytes, kind: str, status: int, code: str, words: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"content-type": kind} if kind else {})
    with guarded.client(headers=headers) as client:
        assert words in problem(client.post("/v1/jobs", content=body), status, code)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decoder": "lexicon"}, "needs a lexicon"),
        ({"decoder": "beam", "lexicon": ["a"]}, "takes no lexicon"),
        ({"lexicon": ["a", "b\u2028c"]}, "word 1 of the lexicon"),
        ({"lexicon": [" "]}, "word 0 of the lexicon"),
        ({"min_confidence": 1.5}, "options.min_confidence"),
        ({"prefixes": ["/"]}, "options has 'prefixes'; expected decoder"),
    ],
)
def test_options_of_jobs_that_make_no_sense(
    guarded: Service, options: dict[str, object], words: str
) -> None:
    body = {"input": "/x", "output": "/x", "options": options}
    with guarded.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert words in problem(client.post("/v1/jobs", json=body), 422, "invalid")


def test_a_body_of_a_job_that_comes_too_slowly_is_given_up(guarded: Service) -> None:
    head = post(b"", AUTHORIZED, JSON, path="/v1/jobs").replace(b"Length: 0", b"Length: 9")
    [(status, headers, body)] = exchange(guarded, head + b"{")
    assert (status, headers["retry-after"]) == (408, "1")
    assert json.loads(body)["code"] == "slow_request"


def test_the_documentation_says_which_status_means_what(guarded: Service) -> None:
    with guarded.client() as client:
        document = client.get("/openapi.json").json()
        for path in ("/v1/recognize", "/v1/pages", "/v1/jobs"):
            answers = document["paths"][path]["post"]["responses"]
            assert "the body didn't come" in answers["408"]["description"].lower()
            assert "wasn't ready" in answers["504"]["description"]
            assert {"400", "401", "413", "415", "422", "429", "503"} <= set(answers)
        assert document["paths"]["/v1/jobs"]["get"]["security"] == [{"bearer": []}]
        assert "408 slow_request" in client.get("/docs").text


def test_no_log_has_a_token_or_a_text(guarded: Service) -> None:
    """Neither what the service prints nor Ray's files of this run."""
    [picture] = word_pictures(1)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with guarded.client(headers=headers) as client:
        fields = {"lexicon": SECRET_TEXT, "decoder": "lexicon"}
        answer = client.post("/v1/recognize", files=files([picture]), data=fields)
        assert answer.status_code == 200, answer.text
        bad = {"images": [{"data": SECRET_TEXT, "x": SECRET_TEXT}]}
        assert client.post("/v1/recognize", json=bad).status_code == 422
        bad_job = {"input": "/x", "output": "/x", "options": {"lexicon": [SECRET_TEXT]}}
        assert client.post("/v1/jobs", json=bad_job).status_code == 422
    assert client_logs(guarded), "there are some"
    for path in client_logs(guarded):
        text = path.read_text(errors="replace")
        assert TOKEN not in text, path
        assert SECRET_TEXT not in text, path


def client_logs(service: Service) -> list[Path]:
    """Log files of the Ray session that the service started, and its own."""
    [session] = [
        path
        for path in Path("/tmp/ray").glob(f"session_*_{service.job.pid}")
        if not path.is_symlink()
    ]
    return [service.log_path, *(path for path in session.glob("logs/**/*") if path.is_file())]
