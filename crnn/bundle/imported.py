"""A bundle of kind ``imported``: another project's recognizer, as an ONNX graph.

``jobs/import_model.py`` makes one: ``model.onnx``, rewritten to what every engine here runs (uint8
``pixels_NHWC`` → ``log_probs_TNC``), ``MODEL_CARD.md`` and ``bundle.json``. It is read, evaluated,
calibrated and served like any other bundle. There is nothing in it that PyTorch could train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crnn.bundle.calibration import Calibration
from crnn.bundle.json_file import BUNDLE_FILE, FORMAT_VERSION, finish, to_json
from crnn.bundle.onnx_file import ONNX_FILE, ProvenOnnx, onnx_entry
from crnn.bundle.reading_policy import READ_ONCE
from crnn.bundle.reliability import RELIABILITY_FILE
from crnn.files import storage
from crnn.images.contract import PictureContract
from crnn.text.charset import Charset

IMPORTED = "imported"
KINDS = ("crnn", IMPORTED)
_WEIGHTS_OF_OTHERS = ("model.safetensors", RELIABILITY_FILE)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Where an imported recognizer comes from, and what its graph is."""

    source: str
    """The package with its version, or the file, and its author if known."""
    source_sha256: str
    """SHA-256 of the imported ONNX file, hexadecimal."""
    licence: str
    """Licence of the weights, as their authors state it."""
    time_steps: Mapping[int, int]
    """T by bucket width in px."""
    found: Mapping[str, str]
    """What the graph takes and gives, in words, by what is told; for people."""

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Imported | None:
        """What ``bundle.json`` says of it; None of a bundle of another kind.

        Raises:
            ValueError: for an unknown kind, or an entry that makes no sense.
        """
        kind = about.get("kind", KINDS[0])
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; this program reads {list(KINDS)}")
        if kind != IMPORTED:
            return None
        entry = dict(about[IMPORTED])
        steps = {int(width): int(count) for width, count in entry.pop("time_steps").items()}
        return cls(time_steps=steps, **entry)

    def check_widths(self, picture: PictureContract) -> None:
        """Raise ValueError unless T is known for every bucket."""
        missing = [width for width in picture.widths if width not in self.time_steps]
        if missing:
            raise ValueError(f"the time steps of the widths {missing} px are not stated")


def save_imported(
    folder: Path | str,
    *,
    onnx: ProvenOnnx,
    imported: Imported,
    charset: Charset,
    picture: PictureContract,
    name: str,
    metrics: Mapping[str, Any],
) -> None:
    """Write a bundle of kind ``imported``; one already there becomes unfinished first.

    Args:
        folder: a local folder (made if need be), or an address of ``crnn.files.storage``.
        metrics: any JSON.

    Raises:
        ValueError: when metrics, name or facts aren't plain JSON; nothing is written then.
    """
    sha256 = hashlib.sha256(onnx.data).hexdigest()
    text = to_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": IMPORTED,
            "name": name,
            IMPORTED: asdict(imported),
            "charset": charset.characters,
            "text_order": charset.text_order,
            "picture": picture.stated(),
            "reading": asdict(READ_ONCE),
            "decoder": "greedy",
            "calibration": asdict(Calibration()),
            "data_digest": "",
            "metrics": dict(metrics),
            "training": None,
            "reliability": [],
            "weights": {"file": ONNX_FILE, "sha256": sha256},
            "onnx": onnx_entry(onnx, weights_sha256=sha256),
        }
    )
    uri = str(folder)
    storage.delete(storage.join(uri, BUNDLE_FILE))
    for file in _WEIGHTS_OF_OTHERS:
        storage.delete(storage.join(uri, file))
    storage.write_bytes(storage.join(uri, ONNX_FILE), onnx.data)
    finish(uri, text, num_parameters=None)
