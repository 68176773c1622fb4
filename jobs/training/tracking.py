"""``--track``: a run's settings, metrics and results in the user's own MLflow or Weights & Biases.

Their packages log from the driver, as their own environment variables say (MLFLOW_TRACKING_URI,
WANDB_PROJECT, …). Whatever fails in them is one warning, and training goes on without.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from crnn.files import storage
from jobs.failures import in_short

Track = Literal["", "mlflow", "wandb"]
TRACKING_FILE = "tracking.json"
"""In the run's folder: by which id the tracker knows it, so that a resumed run goes on there."""
BUNDLE, REPORT = "bundle", "report"
REPORT_FILES = ("config.yaml", "report.html", "report.json", "curves.png")
_PROJECT = "crnn"
"""Experiment or project, unless the environment names one."""
_PARAMS_AT_ONCE = 100
"""MLflow takes no more in a request."""
_PARAM_LENGTH = 500
"""Longest value that every MLflow server takes, characters."""


class Sink(Protocol):
    """What a tracker's package does for a run."""

    id: str
    """By which the run is found again."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Keeps the settings."""

    def metrics(self, values: Mapping[str, float], samples: int) -> None:
        """Logs metrics at the step given by the number of samples seen."""

    def artifact(self, name: str, folder: Path) -> None:
        """Keeps the files of a local folder."""

    def close(self) -> None:
        """Marks the run as complete."""


def check_installed(track: Track) -> None:
    """Raise ValueError unless the tracker's package is there."""
    if track and find_spec(track) is None:
        raise ValueError(
            f"--track is {track}, but the package {track} isn't installed; run: pip install "
            f"{track}, or leave --track out"
        )


class Tracker:
    """A run at its tracker, or nothing; a failure ends it with one warning and nothing else."""

    def __init__(self, track: Track, run_uri: str, name: str, params: Mapping[str, Any]) -> None:
        self._track = track
        self._sink: Sink | None = None
        self._lock = threading.Lock()
        if track:
            self._do(lambda: self._begin(run_uri, name, params))

    def metrics(self, validation: Mapping[str, float]) -> None:
        """The figures of a validation, ``samples`` among them."""
        values = dict(validation)
        samples = int(values.pop("samples"))
        self._with(lambda sink: sink.metrics(values, samples))

    def finish(self, run_uri: str, bundle_uri: str) -> None:
        """Keeps the bundle and the report of the run, and ends it."""

        def keep(sink: Sink) -> None:
            with tempfile.TemporaryDirectory() as local:
                storage.download_folder(bundle_uri, Path(local) / BUNDLE)
                report = Path(local) / REPORT
                report.mkdir()
                for file in REPORT_FILES:
                    (report / file).write_bytes(storage.read_bytes(storage.join(run_uri, file)))
                for name in (BUNDLE, REPORT):
                    sink.artifact(name, Path(local) / name)
            sink.close()

        self._with(keep)

    def _begin(self, run_uri: str, name: str, params: Mapping[str, Any]) -> None:
        known = _known(run_uri, self._track)
        self._sink = _SINKS[self._track](name, known)
        if not known:
            kept = json.dumps({"track": self._track, "id": self._sink.id})
            storage.write_bytes(storage.join(run_uri, TRACKING_FILE), kept.encode())
            self._sink.params(params)

    def _with(self, do: Callable[[Sink], None]) -> None:
        sink = self._sink
        if sink is not None:
            self._do(lambda: do(sink))

    def _do(self, do: Callable[[], None]) -> None:
        with self._lock:
            try:
                do()
            except Exception as error:  # anything at all: it is not what is trained for
                self._sink = None
                print(
                    f"warning: --track {self._track} failed and logs no more of this run; training "
                    f"goes on: {in_short(error)}",
                    file=sys.stderr,
                    flush=True,
                )


def _known(run_uri: str, track: str) -> str:
    """The id under which the tracker has this run already; empty if it hasn't."""
    try:
        kept = json.loads(storage.read_bytes(storage.join(run_uri, TRACKING_FILE)))
    except FileNotFoundError:
        return ""
    return str(kept["id"]) if kept["track"] == track else ""


class _MlFlow:
    def __init__(self, name: str, known: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._client, self._metric, self._param = MlflowClient(), Metric, Param
        if known:
            self.id = known
            self._client.update_run(known, status="RUNNING")
            return
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        found = self._client.get_experiment_by_name(experiment)
        where = found.experiment_id if found else self._client.create_experiment(experiment)
        self.id = str(self._client.create_run(where, run_name=name).info.run_id)

    def params(self, values: Mapping[str, Any]) -> None:
        params = [self._param(key, str(value)[:_PARAM_LENGTH]) for key, value in values.items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            some = params[start : start + _PARAMS_AT_ONCE]
            self._client.log_batch(self.id, params=some)

    def metrics(self, values: Mapping[str, float], samples: int) -> None:
        now_ms = int(time.time() * 1000)
        metrics = [self._metric(key, value, now_ms, samples) for key, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def artifact(self, name: str, folder: Path) -> None:
        self._client.log_artifacts(self.id, str(folder), artifact_path=name)

    def close(self) -> None:
        self._client.set_terminated(self.id)


class _Wandb:
    def __init__(self, name: str, known: str) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=name,
            id=known or None,
            resume="allow",
        )
        self.id = str(self._run.id)

    def params(self, values: Mapping[str, Any]) -> None:
        self._run.config.update(dict(values))

    def metrics(self, values: Mapping[str, float], samples: int) -> None:
        self._run.log(dict(values), step=samples)

    def artifact(self, name: str, folder: Path) -> None:
        kind = "model" if name == BUNDLE else name
        artifact = self._wandb.Artifact(f"{name}-{self.id}", type=kind)
        artifact.add_dir(str(folder))
        self._run.log_artifact(artifact)

    def close(self) -> None:
        self._run.finish()


_SINKS: dict[str, Callable[[str, str], Sink]] = {"mlflow": _MlFlow, "wandb": _Wandb}
