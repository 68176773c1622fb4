"""A front end that bounds bodies otherwise than the service does is told, with the remedy."""

from __future__ import annotations

import pytest

from jobs.serving import edge
from jobs.serving.agreement import differences, disagreement
from jobs.serving.config_file import document
from jobs.serving.limits import Limits
from jobs.serving.settings import Here, ServeSettings
from tests.jobs.serving.services import SHIPPED

FRONT_END = {edge.CALLBACK_VARIABLE: edge.CALLBACK}


@pytest.mark.parametrize(
    ("front_mb", "body_mb", "effect"),
    [
        ("16", 32, "bodies over 16 MiB are refused before the service sees them"),
        ("64", 32, "bodies up to 64 MiB are read into memory before the service refuses them"),
        (None, 64, "bodies over 32 MiB are refused before the service sees them"),
    ],
)
def test_another_bound_is_told_with_what_it_means(
    front_mb: str | None, body_mb: int, effect: str
) -> None:
    given = {edge.BODY_VARIABLE: front_mb} if front_mb else {}
    said = disagreement(FRONT_END | given, Limits(body_mb=body_mb))
    assert effect in said
    assert f"set CRNN_SERVE_BODY_MB={body_mb}" in said
    assert f"--limits.body-mb {front_mb or 32}" in said


def test_a_front_end_without_any_bound_is_told() -> None:
    assert "of any size are read into memory" in disagreement({}, Limits())
    other = {edge.CALLBACK_VARIABLE: "another:callback"}
    assert "CRNN_SERVE_BODY_MB=8" in disagreement(other, Limits(body_mb=8))


@pytest.mark.parametrize("body_mb", [32, 8])
def test_what_the_written_configuration_asks_for_agrees(body_mb: int) -> None:
    limits = Limits(body_mb=body_mb)
    here = Here(write_config="serve.yaml")
    text = document(here, ServeSettings(bundle=str(SHIPPED), limits=limits))
    words = text.replace("#", "").split()
    named = dict(word.split("=", 1) for word in words if word.count("=") == 1)
    assert disagreement(named, limits) == ""


def test_the_nodes_of_a_cluster_are_asked(local_ray: None) -> None:
    [told] = differences(Limits())
    assert told.startswith("node 127.0.0.1: RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH isn't")
