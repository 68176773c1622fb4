"""A cascade over HTTP: results, model and metrics; without Ray around the service."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from crnn import Cascade
from crnn.client import Client
from crnn.errors import BundleError
from crnn.inference.doubt import Then
from jobs.serving import shipped
from jobs.serving.assembly import assembled
from jobs.serving.config_file import document
from jobs.serving.metrics import READ_BY, MetricTally
from jobs.serving.service import Service
from jobs.serving.settings import Here, ServeSettings, from_arguments
from tests.jobs.serving.local_server import Replica, serving
from tests.jobs.serving.services import files
from tests.pipelines.evaluation_cases import random_bundle, rendered, unlike_bundle

PICTURES = [rendered(str(number)) for number in range(12)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two bundles, and a bound in the middle of the first one's confidences."""
    folder = tmp_path_factory.mktemp("pair")
    first, second = random_bundle(folder / "first"), unlike_bundle(folder / "second")
    confidences = sorted(
        r.confidence for r in Cascade.load(first, then=second).first.read(PICTURES)
    )
    return {"bundle": first, "then": second, "below": confidences[6]}


@pytest.fixture(scope="module")
def cascade(settings: dict[str, Any]) -> Cascade:
    return Cascade.load(settings["bundle"], then=settings["then"], below=settings["below"])


def test_each_result_says_which_bundle_read_it(settings: dict[str, Any], cascade: Cascade) -> None:
    expected = cascade.read(PICTURES)
    digests = [one.bundle.digest for one in (cascade.first, cascade.second)]
    assert {result.model for result in expected} == set(digests)
    with serving(Replica(**settings)) as url:
        answer = httpx.post(f"{url}/v1/recognize", files=files([*PICTURES, b"none"])).json()
        *results, bad = answer["results"]
        name = f"random <b>digits</b>, then unlike below {settings['below']:g}"
        assert answer["model"] == {"name": name, "digest": cascade.digest}
        assert [(r["text"], r["model"]) for r in results] == [(r.text, r.model) for r in expected]
        assert (bad["error"]["code"], bad["model"]) == ("undecodable", digests[0])
        tensor = {"name": "image", "datatype": "BYTES", "shape": [len(PICTURES)],
                  "data": [base64.b64encode(data).decode() for data in PICTURES]}  # fmt: skip
        asked = {"inputs": [tensor], "outputs": [{"name": "text"}, {"name": "model"}]}
        texts, models = httpx.post(f"{url}/v2/models/crnn/infer", json=asked).json()["outputs"]
        assert texts["data"] == [r.text for r in expected]
        assert models["data"] == [r.model for r in expected]
        with Client(url) as client:
            read = client.read(PICTURES)
            assert [(r.text, r.model) for r in read] == [(r.text, r.model) for r in expected]
            model = client.model()
    assert (model.name, model.digest) == (name, cascade.digest)
    bundles = model.details["cascade"]["bundles"]
    assert [one["digest"] for one in bundles] == digests
    assert model.details["cascade"]["below"] == settings["below"]


def test_metrics_count_both(settings: dict[str, Any], cascade: Cascade) -> None:
    async def counted() -> tuple[MetricTally, list[str]]:
        tally = MetricTally()
        service = Service(ServeSettings(**settings), tally)
        await service.install(settings["bundle"], cascade.digest)
        assembled(service)
        await service.online.read(PICTURES, timeout_s=60)
        models = [dict(labels)["digest"] for kind, labels, _ in service.gauges() if labels]
        assert service.in_use == (settings["bundle"], cascade.digest)
        await service.aclose()
        return tally, models

    tally, models = asyncio.run(counted())
    counts = {
        dict(labels)["digest"]: count
        for (name, labels), count in tally.take().items()
        if name == READ_BY.name
    }
    assert counts == Counter(result.model for result in cascade.read(PICTURES))
    assert models == [cascade.first.bundle.digest, cascade.second.bundle.digest]


def test_a_bundle_that_was_changed_is_refused_and_settings_survive_their_way(
    settings: dict[str, Any], cascade: Cascade
) -> None:
    given = ServeSettings(**settings)
    assert from_arguments(asdict(given) | {"limits": {}, "online": {}, "bulk": {}}) == given
    chosen = shipped.chosen(given)
    assert chosen.settings.digest == cascade.digest
    assert Path(chosen.settings.then).is_absolute()
    text = document(Here(write_config="serve.yaml"), given)
    assert f"digest: {cascade.digest}" in text and f"then: {settings['then']}" in text
    with pytest.raises(BundleError, match=cascade.digest):
        shipped.chosen(replace(given, digest=cascade.first.bundle.digest))
    with pytest.raises(ValueError, match="there is no second bundle"):
        ServeSettings(below=0.5)

    async def install_another() -> None:
        service = Service(given, MetricTally())
        with pytest.raises(BundleError, match=f"has the digest .*, expected {'0' * 64}"):
            await service.install(settings["bundle"], "0" * 64)

    asyncio.run(install_another())
    assert (
        Then(bundle=cascade.second.bundle, below=0.2).digest(cascade.first.bundle) != cascade.digest
    )
