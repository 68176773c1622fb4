"""``jobs/serve.py`` from its start to its end."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from crnn.bundle.bundle import load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.errors import BundleError
from crnn.online import OnlineConfig
from jobs import serve
from jobs.serve import ServeArguments, app
from jobs.serving.limits import Limits
from jobs.serving.settings import ServeSettings, as_flags, from_arguments
from jobs.serving.shipped import address, chosen
from tests.crnn.poison import time_hog
from tests.jobs.runs import refused, tiny_bundle, within
from tests.jobs.serving.services import (
    SHIPPED,
    answer_to_endless_body,
    files,
    free_port,
    ready,
    word_pictures,
)


def test_help_tells_every_default_and_unit(tmp_path: Path) -> None:
    shown = within(serve.main, "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    text = " ".join(shown.stdout.replace("│", " ").split())
    for flag in ("--bundle", "--host", "--port", "--ingress", "--min-replicas", "--token-file",
                 "--allowed-urls", "--limits.body-mb", "--limits.request-s", "--write-config",
                 "--online.batch-wait-ms", "--online.max-pixels", "--bulk.prefixes"):  # fmt: skip
        assert flag in text
    assert "127.0.0.1" in text
    assert "size of a request's body, MiB" in text


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--bundle", "nowhere"), 1, ("nowhere", "no such bundle")),
        (("--token-file", "nowhere"), 2, ("--token-file nowhere can't be read",)),
    ],
)
def test_what_cannot_work_ends_with_a_message(
    tmp_path: Path, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    refused(within(serve.main, *arguments, cwd=tmp_path), status, *words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": 99_999}, "--port is 99999"),
        ({"min_replicas": 3, "max_replicas": 2}, "--max-replicas 2"),
        ({"min_replicas": -1}, "--min-replicas is -1"),
        ({"allowed_urls": ("https://host",)}, "--allowed-urls"),
        ({"allowed_urls": ("https://user@host/",)}, "--allowed-urls"),
        ({"allowed_urls": ("file:///",)}, "--allowed-urls"),
        ({"limits": Limits(pictures=9_999)}, "queue_pictures"),
        ({"limits": Limits(body_mb=250, held_mb=300), "online": OnlineConfig(queue_mb=200)}, "qu"),
        ({"drain_s": -1}, "--drain-s"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ServeArguments(**settings)


@pytest.mark.parametrize(
    ("settings", "own_cpus", "replicas", "cpus", "engines"),
    [
        ({}, 0, (1, 1), 1, (1, 0)),
        ({}, 1, (1, 1), 1, (1, 0)),
        ({}, 2, (2, 2), 0.5, (1, 1)),
        ({}, 9, (4, 4), 0.25, (2, 2)),
        ({"min_replicas": 3}, 0, (3, 3), 1, (1, 0)),
        ({"max_replicas": 2}, 5, (1, 2), 0.5, (2, 3)),
        ({"max_replicas": 8}, 4, (1, 8), 0.125, (1, 0)),
        ({"min_replicas": 1, "cpus_per_replica": 3.5}, 8, (1, 1), 3.5, (3, 0)),
        ({"online": OnlineConfig(engine_threads=1)}, 2, (2, 2), 0.5, (1, 0)),
        ({"online": OnlineConfig(engine_threads=1, spare_engines=2)}, 2, (2, 2), 0.5, (1, 2)),
        ({"online": OnlineConfig(device="cuda")}, 8, (1, 1), 1, (1, 0)),
    ],
)
def test_replicas_share_a_machine_that_is_their_own(
    settings: dict[str, Any],
    own_cpus: int,
    replicas: tuple[int, int],
    cpus: float,
    engines: tuple[int, int],
) -> None:
    placed = ServeSettings(**settings).placed(own_cpus)
    assert (placed.min_replicas, placed.max_replicas) == replicas
    assert placed.cpus_per_replica == cpus
    assert (placed.online.engine_threads, placed.online.spare_engines) == engines
    assert placed.placed() == placed


def test_another_digest_than_the_one_given_is_refused() -> None:
    with pytest.raises(BundleError, match=r"has the digest .*, expected 00"):
        chosen(ServeSettings(bundle=str(SHIPPED), digest="00"))


def test_what_is_shipped_is_the_default_and_what_was_trained_here_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert address("") == (default_bundle(), "shipped")
    for name in ("first", "second"):
        shutil.copytree(SHIPPED, f"runs/{name}/bundle")
        os.utime(f"runs/{name}/bundle/bundle.json")
    uri, why = address("")
    assert uri == default_bundle()
    assert "--bundle runs/second/bundle" in why


@pytest.mark.slow
def test_a_service_tells_how_to_ask_it_rolls_a_bundle_in_and_ends_tidily(tmp_path: Path) -> None:
    trained = tmp_path / "runs" / "first" / "bundle"
    shutil.copytree(SHIPPED, trained)
    flags = ("--bundle", "runs/first/bundle", "--ingress", "proxy")
    flags += ("--min-replicas", "1")  # what is asked for the pictures that wait
    with ready(tmp_path, *flags) as service:
        assert f"bundle: {trained.resolve()}" in service.log
        assert "ingress: proxy" in service.log
        check_the_example(service.log, tmp_path)
        answer, sent = answer_to_endless_body(service.port, most=1 << 30)
        assert answer.startswith(b"HTTP/1.1 413 "), answer
        assert sent < 200 << 20
        roll(service.job, service.log_path, trained, service.url)
        answers: list[httpx.Response] = []
        slow = threading.Thread(target=lambda: answers.append(ask(service.url)))
        slow.start()
        while not being_read(service.url):
            assert slow.is_alive()
        left = service.stop()
        slow.join()
        assert [answer.status_code for answer in answers] == [200], answers[0].text
        assert ["error" in result for result in answers[0].json()["results"]] == [False] * 10 + [
            True
        ]
    assert left == []
    assert service.job.returncode == 0
    assert service.log.rstrip().endswith("ended")
    assert "Traceback" not in service.log


def check_the_example(log: str, folder: Path) -> None:
    """The command line that was printed works as it stands."""
    (folder / "picture.png").write_bytes(word_pictures(1)[0])
    [line] = [line for line in log.splitlines() if line.startswith("example: ")]
    command = shlex.split(line.removeprefix("example: "))
    assert command[0] == "curl"
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    assert b'"results":[{"id":"picture.png"' in done.stdout


def roll(job: subprocess.Popen[bytes], log: Path, bundle: Path, url: str) -> None:
    """SIGHUP takes what lies at the address now; not what is damaged."""
    old = load_bundle(bundle).digest
    weights = (bundle / "model.safetensors").read_bytes()
    (bundle / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    job.send_signal(signal.SIGHUP)
    wait_for(log, "bundle refused, the old one stays in use")
    assert httpx.get(f"{url}/v1/model").json()["digest"] == old
    shutil.rmtree(bundle)
    tiny_bundle(bundle)
    new = load_bundle(bundle).digest
    job.send_signal(signal.SIGHUP)
    wait_for(log, f"is in use, {new[:12]}")
    model = httpx.get(f"{url}/v1/model").json()
    assert model["digest"] == new != old
    assert model["last_roll"]["state"] == "in_use"


def wait_for(log: Path, words: str) -> None:
    from tests.jobs.runs import wait_until

    wait_until(lambda: words in log.read_text(), log=log)


def ask(url: str) -> httpx.Response:
    """With a picture that keeps its decoder for the five seconds that it is given."""
    pictures = [*word_pictures(10), time_hog()]
    return httpx.post(f"{url}/v1/recognize", files=files(pictures), params={"decoder": "beam"},
                      timeout=120)  # fmt: skip


def being_read(url: str) -> bool:
    return httpx.get(f"{url}/v1/model", timeout=60).json()["pictures_waiting"] > 0


def test_the_written_configuration_is_the_same_service(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    written = within(
        serve.main,
        *("--bundle", str(SHIPPED), "--write-config", str(path), "--port", str(free_port())),
        *("--limits.pictures", "9", "--max-replicas", "3", "--allowed-urls", "https://a.b/c/"),
        cwd=tmp_path,
    )
    assert written.returncode == 0, written.stderr
    assert f"serve deploy {path}" in written.stdout
    [application] = yaml.safe_load(path.read_text())["applications"]
    assert application["import_path"] == "jobs.serve:app"
    [deployment] = application["deployments"]
    digest = load_bundle(SHIPPED).digest
    assert deployment["user_config"] == {"bundle": str(SHIPPED), "digest": digest}
    settings = from_arguments(application["args"])
    assert settings.limits.pictures == 9
    assert settings.max_replicas == 3
    assert settings.allowed_urls == ("https://a.b/c/",)
    assert settings.online == ServeSettings().online
    built = app(application["args"])
    assert built._bound_deployment.name == deployment["name"]


def test_arguments_of_the_application_are_checked() -> None:
    flat = from_arguments({"bundle": "b", "limits.pictures": "7", "access_log": "true"})
    assert (flat.bundle, flat.limits.pictures, flat.access_log) == ("b", 7, True)
    nested = from_arguments({"bundle": "b", "limits": {"pictures": 7}, "access_log": True})
    assert nested == flat
    assert as_flags({"access_log": False}) == ["--no-access-log"]
    with pytest.raises(ValueError, match="expected some of bundle"):
        from_arguments({"bundel": "b"})
    with pytest.raises(ValueError, match=r"limits\.pictures is 0"):
        from_arguments({"limits.pictures": 0})
