"""A process that is on a cluster stays there."""

from __future__ import annotations

import pytest
import ray

from jobs.cluster import connect


def test_a_job_takes_the_ray_that_is_up(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = ray.get_runtime_context().gcs_address
    for address in (None, "", "auto", joined):
        connect(address)
        assert ray.get_runtime_context().gcs_address == joined
    monkeypatch.setenv("RAY_ADDRESS", joined)
    connect(None)
    with pytest.raises(ValueError, match=r"is on the Ray cluster .*--address is 127\.0\.0\.1:1;"):
        connect("127.0.0.1:1")
