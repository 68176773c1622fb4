"""Which hosts and tokens are let in, and that no door of HAProxy's is left open."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from jobs.serving.access import Access
from jobs.serving.haproxy import BRIEF, WHOLE, answering, confined
from jobs.serving.ingress import haproxy_binary, write_answers
from jobs.serving.problems import ProblemError
from jobs.serving.settings import ServeSettings

FOLDER = Path("/run/crnn")


def written(**config: object) -> str:
    """The configuration as the Ray that is installed writes it."""
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined)
    environment.filters["haproxy_fmt"] = str
    usual = {"metrics_port": 9101, "stats_port": 8404, "frontend_host": "127.0.0.1",
             "frontend_port": 8000, "socket_path": "/run/crnn/admin.sock",
             "error_file_path": "/run/crnn/500.http"}  # fmt: skip
    return environment.from_string(HAPROXY_CONFIG_TEMPLATE).render(
        config=usual | config, backends=[], backends_with_health_config=[], grpc_backends=[]
    )


def doors(config: str) -> list[str]:
    return [line.split()[1] for line in config.splitlines() if line.split()[:1] == ["bind"]]


def test_what_ray_writes_has_three_doors_of_which_one_stays_open() -> None:
    before = written()
    assert doors(before) == [":9101", "127.0.0.1:8000", "*:8404"]
    after = confined(before, FOLDER, FOLDER)
    assert doors(after) == [
        "unix@/run/crnn/prometheus.sock", "127.0.0.1:8000", "unix@/run/crnn/stats.sock",
    ]  # fmt: skip
    assert "mode 600" in after and "mode 666" not in after
    assert (
        "errorfile 503 /run/crnn/503.http" in after and "/run/crnn/500.http\n    load" not in after
    )
    assert "del-header upgrade" in after
    assert "status 503 default-errorfiles" in after and "status 404" not in after


@pytest.mark.parametrize(
    ("found", "other"),
    [
        ("frontend prometheus\n", "frontend prometheus\n    mode http\n"),
        ("listen stats\n", "listen stats\n  stats enable\n"),
        ("listen stats\n", "listen statistics\n"),
        (" mode 666 ", " mode 0666 "),
        ("backend default_backend\n", "backend nothing\n"),
        ("defaults\n", "defaults ours\n"),
        ("listen stats\n", "frontend more\n    bind :9999\nlisten stats\n"),
        ("listen stats\n", "frontend prometheus\n    bind :9102\nlisten stats\n"),
        ("frontend http_frontend\n", "frontend http_frontend\n    bind :9999\n"),
    ],
)
def test_another_configuration_is_refused_and_not_passed_on(found: str, other: str) -> None:
    before = written()
    assert found in before
    with pytest.raises(ValueError, match=r"expected .*use the Ray that requirements\.lock names"):
        confined(before.replace(found, other), FOLDER, FOLDER)


def test_what_haproxy_says_by_itself_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    write_answers(tmp_path)
    brief = {path.stem: path.read_bytes() for path in tmp_path.glob(f"*{BRIEF}")}
    program = Path(haproxy_binary()).read_bytes()
    ours = answering(program, brief)
    assert len(ours) == len(program) and answering(ours, brief) == ours
    texts = re.findall(rb"HTTP/1\.1 [45]\d\d [^\0]*", program)
    for text in texts:
        place = program.index(text)
        found = ours[place : place + len(text)].rstrip(b"\0")
        program = program.replace(text, ours[place : place + len(text)])
        if text[9:12] in (b"400", b"408", b"413", b"422", b"500"):
            head, _, body = found.partition(b"\r\n\r\n")
            assert b"content-length: %d\r\n" % len(body) in head
            in_full = (tmp_path / f"{text[9:12].decode()}{WHOLE}").read_bytes()
            document, whole = json.loads(body), json.loads(in_full.partition(b"\r\n\r\n")[2])
            assert document | {"detail": ""} == whole | {"detail": ""}
        else:
            assert found == text
    assert len(texts) > 10 and program == ours


def test_a_program_that_has_no_such_texts_stays_as_it_is() -> None:
    short = b"HTTP/1.1 400 Bad\r\n\r\n<html>No</html>\n\0rest"
    for program in (b"", b"\x7fELF\0rest", short, short[:-5]):
        assert answering(program, {"400": b"HTTP/1.1 400 \r\n\r\n" + bytes(99)}) == program


def test_grpc_is_a_door_too() -> None:
    with pytest.raises(ValueError, match="frontend grpc_frontend"):
        confined(written(grpc_enabled=True, grpc_frontend_port=9000), FOLDER, FOLDER)


HOSTS = ("crnn.example.org", "*.internal", "[::1]")


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        (b"crnn.example.org", True),
        (b"CRNN.Example.org:8000", True),
        (b"a.internal", True),
        (b"[::1]:8000", True),
        (b"internal", False),
        (b"a.b.internal", False),
        (b"crnn.example.org.evil.org", False),
        (b"example.org", False),
        (b"127.0.0.1", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_hosts(host: bytes, is_ours: bool) -> None:
    access = Access("", HOSTS)
    for path in ("/healthz", "/readyz", "/v2/health/live"):
        access.check(path, b"", host)
    for path in ("/", "/v1/recognize", "/docs"):
        Access("").check(path, b"", host)
        if is_ours:
            access.check(path, b"", host)
            continue
        with pytest.raises(ProblemError) as caught:
            access.check(path, b"", host)
        assert (caught.value.problem.status, caught.value.problem.code) == (421, "misdirected")


@pytest.mark.parametrize("host", ["http://a.org", "a.org:80", "", "*", "a/b", "a.*.org", "::1"])
def test_names_that_are_none(host: str) -> None:
    with pytest.raises(ValueError, match="--allowed-hosts has"):
        ServeSettings(allowed_hosts=(host,))
    assert ServeSettings(allowed_hosts=HOSTS).allowed_hosts == HOSTS
