"""Is an ONNX model equal to the bundle's weights? Read the same pictures both ways and compare.

Every bucket width and odd batch sizes are tried: what a runtime does depends on both. Shape
suffixes: N pictures, H height, W bucket width, C channels or classes, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import torch

from crnn.bundle.onnx_file import Proof
from crnn.decode.greedy import greedy
from crnn.engines import ENGINES, PACKAGES, RUNTIMES, is_installed, torch_eager
from crnn.engines.graph import Engine
from crnn.errors import EngineError, PictureError
from crnn.images.contract import PictureContract, Pixels
from crnn.images.prepare import Picture, prepare

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle

TOLERANCE = 1e-3
"""By how much a probability or a confidence may differ."""
BATCH_SIZES = (1, 2, 13, 32, 101)
"""Sizes of the batches that are tried, in turn."""
REFERENCE_BATCH = 64
FEWEST_OF_A_WIDTH = 16
"""Where fewer pictures belong into a bucket, others are cut or padded to its width."""


def prove(
    bundle: Bundle,
    model: bytes,
    pictures: Iterable[Picture],
    *,
    engines: Sequence[str] | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Compare every engine that runs ``model`` with eager PyTorch on these pictures.

    Args:
        pictures: those that can't be read are passed over.
        engines: of ``RUNTIMES``; by default all that are installed.
        report: told which engine is compared.

    Raises:
        EngineError: when a text differs, or a probability or confidence by more than
            ``TOLERANCE``; when an engine named isn't installed, or none is.
        ValueError: for an unknown engine, or when no picture can be read.
    """
    names = names_of(engines)
    count, batches = by_width(bundle.picture, pictures)
    reference = torch_eager.build(bundle.network(), torch.device("cpu"), None)
    expected = {w: read_in_batches(reference, p, (REFERENCE_BATCH,)) for w, p in batches.items()}
    worst = np.zeros(2)
    for name in names:
        report(f"comparing {name} with torch")
        engine = RUNTIMES[name](model, torch.get_num_threads())
        for width, pixels_NHWC in batches.items():
            found = read_in_batches(engine, pixels_NHWC, BATCH_SIZES)
            worst = np.maximum(worst, differences(bundle, name, width, expected[width], found))
    return Proof(
        pictures=count,
        widths=tuple(batches),
        engines={name: version(PACKAGES[name]) for name in names},
        max_probability_difference=float(worst[0]),
        max_confidence_difference=float(worst[1]),
    )


def read_in_batches(engine: Engine, pixels_NHWC: Pixels, sizes: Sequence[int]) -> torch.Tensor:
    """``log_probs_TNC`` of pictures of one bucket, read in batches of these sizes in turns."""
    found, begin = [], 0
    for size in cycle(sizes):
        if begin >= len(pixels_NHWC):
            break
        found.append(engine(pixels_NHWC[begin : begin + size]))
        begin += size
    return torch.cat(found, dim=1)


def names_of(engines: Sequence[str] | None) -> list[str]:
    """The engines to compare: those named, or all that are installed."""
    unknown = sorted(set(engines or ()) - set(RUNTIMES))
    if unknown:
        raise ValueError(f"engines {unknown} run no ONNX; expected some of {sorted(RUNTIMES)}")
    names = list(dict.fromkeys(engines or filter(is_installed, RUNTIMES)))
    missing = [name for name in names or RUNTIMES if not is_installed(name)]
    if missing:
        raise EngineError(
            f"proving the model needs {', '.join(PACKAGES[name] for name in missing)}; "
            f"run: pip install 'crnn-on-ray[{','.join(missing)}]'"
        )
    return names


def by_width(
    contract: PictureContract, pictures: Iterable[Picture], fewest: int = FEWEST_OF_A_WIDTH
) -> tuple[int, Mapping[int, Pixels]]:
    """How many could be read, and the pixels of each bucket, some of every one."""
    found: dict[int, list[Pixels]] = {width: [] for width in contract.widths}
    for picture in pictures:
        try:
            pixels = prepare(picture, contract).pixels
        except PictureError:
            continue
        found[pixels.shape[1]].append(pixels)
    everything = [pixels for bucket in found.values() for pixels in bucket]
    if not everything:
        raise ValueError(
            "none of the pictures can be read; give readable ones to compare engines on"
        )
    spread = everything[:: max(1, len(everything) // fewest)][:fewest]
    for width, bucket in found.items():
        if len(bucket) < fewest:
            bucket += [contract.pad(pixels[:, :width], width) for pixels in spread]
    return len(everything), {width: np.stack(bucket) for width, bucket in found.items()}


def differences(
    bundle: Bundle,
    name: str,
    width: int,
    expected_TNC: torch.Tensor,
    found_TNC: torch.Tensor,
    *,
    reference: str = "torch",
) -> tuple[float, float]:
    """The largest of probability and of confidence, once texts and tolerance hold.

    Args:
        reference: what computed ``expected_TNC``, for the message.

    Raises:
        EngineError: when they don't hold.
    """
    probability = float((expected_TNC.exp() - found_TNC.exp()).abs().max())
    where = f"engine {name!r} at width {width} px"
    _check(where, "probability", probability, reference)
    confidence = 0.0
    pairs = zip(
        greedy(expected_TNC, bundle.charset), greedy(found_TNC, bundle.charset), strict=True
    )
    for ours, theirs in pairs:
        if ours.text != theirs.text:
            raise EngineError(
                f"{where} reads {theirs.text!r} where {reference} reads {ours.text!r}, with "
                f"probabilities at most {probability:.2e} apart; expected the same text for every "
                f"picture: read with {_instead(reference)}"
            )
        by_engine = [bundle.calibration.apply(d.log_probability) for d in (ours, theirs)]
        confidence = max(confidence, abs(by_engine[0] - by_engine[1]))
    _check(where, "confidence", confidence, reference)
    return probability, confidence


def _check(where: str, what: str, difference: float, reference: str) -> None:
    if not difference <= TOLERANCE:  # NaN too
        raise EngineError(
            f"{where} differs from {reference} in a {what} by {difference:.2e}; expected at most "
            f"{TOLERANCE:g}: read with {_instead(reference)}"
        )


def _instead(reference: str) -> str:
    return f"engine {reference!r}" if reference in ENGINES else "another engine"
