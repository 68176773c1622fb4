"""A bundle's ``model.onnx``: its bytes, and the proof that they compute what the weights do.

``bundle.json`` names it under ``onnx`` with the SHA-256 of the file and of the weights that it was
proven against; a file that no entry names is never read. ``jobs/export.py`` makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from crnn.errors import BundleError
from crnn.files import storage

ONNX_FILE = "model.onnx"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was compared with eager PyTorch; the texts of all pictures were identical."""

    pictures: int
    """Different pictures read."""
    widths: tuple[int, ...]
    """Bucket widths among the batches, px."""
    engines: Mapping[str, str]
    """The engines compared, each with the version of its package."""
    max_probability_difference: float
    """Largest over all engines, pictures, time steps and classes."""
    max_confidence_difference: float
    """Largest over all engines and pictures."""


@dataclass(frozen=True, kw_only=True)
class ProvenOnnx:
    """An ONNX model that ``crnn.engines.proof.prove`` found equal to a bundle's weights."""

    data: bytes
    """The file: uint8 ``pixels_NHWC`` → ``log_probs_TNC``."""
    proof: Proof


def onnx_entry(onnx: ProvenOnnx, *, weights_sha256: str) -> dict[str, Any]:
    """What ``bundle.json`` says under ``onnx``."""
    return {
        "file": ONNX_FILE,
        "sha256": hashlib.sha256(onnx.data).hexdigest(),
        "weights_sha256": weights_sha256,
        "proof": asdict(onnx.proof),
    }


def read_onnx(uri: str, entry: Any, *, weights_sha256: str) -> ProvenOnnx:
    """The model that ``entry`` of the bundle at ``uri`` names.

    Raises:
        BundleError: when it is missing, its digest isn't the one stated, or it was proven against
            other weights; when the entry makes no sense.
    """
    again = f"run: python jobs/export.py --bundle {uri}"
    try:
        file, stated, proven_for = entry["file"], entry["sha256"], entry["weights_sha256"]
        proof = _proof(entry["proof"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{uri}: bundle.json's entry onnx is unusable: {error!r}; {again}") from (
            error
        )
    if file != ONNX_FILE:
        raise BundleError(f"{uri}: the ONNX file is {file!r}; expected {ONNX_FILE!r}; {again}")
    if proven_for != weights_sha256:
        raise BundleError(
            f"{uri}/{ONNX_FILE} was proven for weights of SHA-256 {proven_for}, but the bundle's "
            f"have {weights_sha256}; {again}"
        )
    try:
        data = storage.read_bytes(storage.join(uri, ONNX_FILE))
    except FileNotFoundError:
        raise BundleError(
            f"{uri} names {ONNX_FILE} but doesn't have it; copy it too, or {again}"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != stated:
        raise BundleError(
            f"{uri}/{ONNX_FILE} has SHA-256 {digest}, bundle.json states {stated}; {again}"
        )
    return ProvenOnnx(data=data, proof=proof)


def _proof(values: dict[str, Any]) -> Proof:
    known = {field.name for field in fields(Proof)}
    if set(values) != known:
        raise ValueError(f"the proof has {sorted(values)}; expected {sorted(known)}")
    return Proof(**{**values, "widths": tuple(values["widths"]), "engines": {**values["engines"]}})
