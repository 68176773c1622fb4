"""The bundle that was last taken into use, remembered by the cluster for replicas to come.

After a refused ``user_config`` the replicas go on with the bundle that they have. One that starts
then, in place of a lost one, has no such thing; it looks here. Kept by Ray's GCS as JSON.
"""

from __future__ import annotations

import json

from jobs import ray_internals

_NAMESPACE = b"crnn-serving"


class Accepted:
    """Address and digest of an application's last good bundle."""

    def __init__(self, app_name: str) -> None:
        self._key = f"accepted/{app_name}".encode()

    def keep(self, bundle: str, digest: str) -> None:
        """From now on it is this one."""
        value = json.dumps({"bundle": bundle, "digest": digest}).encode()
        ray_internals.keep(self._key, value, namespace=_NAMESPACE)

    def get(self) -> tuple[str, str] | None:
        """The last that was kept."""
        value = ray_internals.kept(self._key, namespace=_NAMESPACE)
        if value is None:
            return None
        known = json.loads(value)
        return known["bundle"], known["digest"]
