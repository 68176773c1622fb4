"""What is added to a bundle that is there already: its weights and its name stay.

``bundle.json`` names a new file last: killed at any moment, the bundle is one that can be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from crnn.bundle.bundle import Bundle, about_of, count_parameters, reading_digest
from crnn.bundle.calibration import Calibration, ConfidenceBin
from crnn.bundle.json_file import BUNDLE_FILE, finish, to_json
from crnn.bundle.language_file import LANGUAGE_FILE, write_language
from crnn.bundle.onnx_file import ONNX_FILE, ProvenOnnx, onnx_entry
from crnn.bundle.reduced import Loss
from crnn.bundle.reliability import RELIABILITY_FILE
from crnn.decode import Fusion
from crnn.files import storage


def keep_onnx(folder: Path | str, bundle: Bundle, onnx: ProvenOnnx) -> None:
    """Add ``onnx``, proven for ``bundle``, to the bundle of the same weights that lies there.

    ``bundle.json`` names it last. Digest and everything else in the bundle stay.

    Raises:
        BundleError: when there are other weights by now, or no bundle.
    """
    uri = str(folder)
    about = about_of(uri, bundle, "the ONNX model was proven")
    if about.pop("onnx", None) is not None:  # its digest would be wrong for the new file
        storage.write_bytes(storage.join(uri, BUNDLE_FILE), to_json(about).encode())
    storage.write_bytes(storage.join(uri, ONNX_FILE), onnx.data)
    about["onnx"] = onnx_entry(onnx, weights_sha256=bundle.weights_sha256)
    finish(uri, to_json(about), num_parameters=count_parameters(bundle.network()))


def keep_reduced(folder: Path | str, bundle: Bundle, losses: Mapping[str, Loss]) -> None:
    """Add what ``bundle`` loses with some engines to the bundle of the same weights there.

    Raises:
        BundleError: when there are other weights by now, or no bundle.
    """
    uri = str(folder)
    about = about_of(uri, bundle, "the loss was measured")
    measured = {name: asdict(loss) for name, loss in losses.items()}
    about["reduced"] = {**about.get("reduced", {}), **measured}
    finish(uri, to_json(about), num_parameters=count_parameters(bundle.network()))


def keep_calibration(
    folder: Path | str,
    bundle: Bundle,
    calibration: Calibration,
    reliability: Sequence[ConfidenceBin] = (),
) -> str:
    """Give the bundle there, which ``bundle`` was read from, another calibration; its digest.

    Raises:
        BundleError: when there are other weights by now, or no bundle.
    """
    uri = str(folder)
    about = about_of(uri, bundle, "the calibration was fitted")
    about["calibration"] = asdict(calibration)
    about["reliability"] = [asdict(b) for b in reliability if b.count]
    storage.delete(storage.join(uri, RELIABILITY_FILE))
    count = None if bundle.model is None else count_parameters(bundle.model)
    finish(uri, to_json(about), num_parameters=count)
    return reading_digest(about)


def keep_language(folder: Path | str, bundle: Bundle, fusion: Fusion | None) -> str:
    """Give the bundle there, which ``bundle`` was read from, a language model; its digest.

    With None it loses the one it has. The decoder is ``fusion`` with one, else ``greedy``.

    Raises:
        BundleError: when there are other weights by now, or no bundle.
        ValueError: when the language model can't be used for the bundle's charset.
    """
    uri = str(folder)
    if fusion is not None:
        fusion.check(bundle.charset)
    about = about_of(uri, bundle, "the language model was made")
    count = None if bundle.model is None else count_parameters(bundle.model)
    had_one = about.pop("language", None) is not None
    about["decoder"] = "greedy"
    if fusion is None:
        finish(uri, to_json(about), num_parameters=count)
        storage.delete(storage.join(uri, LANGUAGE_FILE))
        return reading_digest(about)
    if had_one:  # its digest would be wrong for the new file
        storage.write_bytes(storage.join(uri, BUNDLE_FILE), to_json(about).encode())
    about["language"] = write_language(uri, fusion)
    about["decoder"] = "fusion"
    finish(uri, to_json(about), num_parameters=count)
    return reading_digest(about)
