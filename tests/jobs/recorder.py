"""A tracker of training runs that writes what it is given into a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.training import tracking


class Recorder:
    """What a tracker's package does, in files."""

    def __init__(self, folder: Path, name: str, known: str) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self.id = folder, known or name

    def params(self, values: Mapping[str, Any]) -> None:
        (self._folder / "params.json").write_text(json.dumps(dict(values)))

    def metrics(self, values: Mapping[str, float], samples: int) -> None:
        with (self._folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**values, "at": samples}) + "\n")

    def artifact(self, name: str, folder: Path) -> None:
        shutil.copytree(folder, self._folder / name)

    def close(self) -> None:
        (self._folder / "closed").touch()


def track_to(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Has ``--track mlflow`` write into a folder, whether or not the package is installed."""
    patch.setattr(tracking, "find_spec", lambda name: name)
    patch.setitem(tracking._SINKS, "mlflow", lambda name, known: Recorder(folder, name, known))
