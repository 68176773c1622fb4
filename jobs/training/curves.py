"""A run's curves: TensorBoard events while it trains, one PNG when it ends."""

from __future__ import annotations

import io
import math
import tempfile
from pathlib import Path
from typing import Any

from crnn.files import storage
from jobs.training.history import History

EVENTS_FOLDER = "tensorboard"


class EventWriter:
    """TensorBoard events of a run, over samples seen; written in place, or sent at each flush."""

    def __init__(self, run_uri: str, *, purge_from: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import; rank 0 only

        self._uri = storage.join(run_uri, EVENTS_FOLDER)
        local = storage.is_local(run_uri)
        self._folder = Path(self._uri if local else tempfile.mkdtemp(prefix="events-"))
        self._sent_in_place = local
        self._writer = SummaryWriter(str(self._folder), purge_step=purge_from or None)
        self._samples = purge_from

    def flush(self, history: History) -> None:
        """What was added to the history since the last call."""
        for point in history.points:
            if point["samples"] > self._samples:
                self._add("train", point)
        for validation in history.validations:
            if validation["samples"] > self._samples:
                self._add("validation", validation)
        last = [entry["samples"] for entry in (*history.points, *history.validations)]
        self._samples = max([self._samples, *map(int, last)])
        self._writer.flush()
        if not self._sent_in_place:
            storage.upload_folder(self._folder, self._uri)

    def _add(self, group: str, figures: dict[str, Any]) -> None:
        for key, value in figures.items():
            if key not in ("samples", "count"):
                self._writer.add_scalar(f"{group}/{key}", value, int(figures["samples"]))


def plot_curves(history: History, title: str) -> bytes:
    """A PNG: loss, accuracy and learning rate over samples seen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    points, validations = history.points, history.validations
    samples = [p["samples"] for p in points]
    at = [v["samples"] for v in validations]
    left.plot(samples, [p["loss"] for p in points], color="#7a8699", lw=1, label="training")
    left.plot(at, [v["loss"] for v in validations], "o-", color="#c2410c", label="validation")
    left.set(yscale="log", title="CTC loss per character", xlabel="samples seen")
    left.legend()
    for key, name, colour in (
        ("exact", "whole words", "#1d4ed8"),
        ("letters", "letters and digits, any case", "#0f766e"),
        ("cer", "character error rate", "#b91c1c"),
    ):
        middle.plot(
            at, [100 * v.get(key, math.nan) for v in validations], "o-", color=colour, label=name
        )
    middle.set(title="validation, %", xlabel="samples seen", ylim=(0, 101))
    middle.legend()
    right.plot(samples, [p["lr"] for p in points], color="#6d28d9")
    right.set(title="learning rate", xlabel="samples seen")
    rate = right.twinx()
    rate.plot(samples, [p["images_per_s"] for p in points], color="#a3a3a3", lw=1)
    rate.set_ylabel("images/s (grey)")
    rate.set_ylim(bottom=0)
    for axis in (left, middle, right):
        axis.grid(alpha=0.25)
    figure.suptitle(title)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return data.getvalue()
