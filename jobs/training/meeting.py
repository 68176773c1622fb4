"""Where the ranks of a run meet: on the loopback address alone, where the cluster is there too.

PyTorch's store listens on every interface, accepts anything from anybody, and has no
setting for that. It takes over a socket that listens already.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ray.train.torch import TorchConfig
from torch.distributed import TCPStore

from jobs import private_cluster


def torch_config() -> TorchConfig:
    """How Ray Train sets up PyTorch's process group on the cluster that was joined."""
    return _PrivateConfig() if private_cluster.is_private() else TorchConfig()


@dataclass
class _PrivateConfig(TorchConfig):
    @property
    def backend_cls(self) -> type[Any]:
        return _PrivateBackend


_Backend: Any = TorchConfig().backend_cls


class _PrivateBackend(_Backend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(confine)
        super().on_start(worker_group, backend_config)


def confine() -> None:
    """In this process, from here on: a store that it hosts listens on the loopback address."""
    rendezvous = import_module("torch.distributed.rendezvous")  # a function has that name too
    rendezvous.TCPStore = _ConfinedStore  # type: ignore[attr-defined]


class _ConfinedStore(TCPStore):
    def __init__(self, host_name: str, port: int, **options: Any) -> None:
        if options.get("is_master"):
            listener = socket.create_server((private_cluster.ADDRESS, port))
            options["master_listen_fd"] = listener.detach()
        super().__init__(host_name=host_name, port=port, **options)
