"""What does an engine of ``REDUCED`` lose? The same pictures read by it and in float32.

Shape suffixes: N pictures, H height, W bucket width, C channels or classes, T time steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch

from crnn.bundle.reduced import Loss
from crnn.decode.greedy import greedy
from crnn.engines import PACKAGES, REDUCED, torch_eager
from crnn.engines.proof import REFERENCE_BATCH, read_in_batches
from crnn.errors import PictureError
from crnn.images.contract import Pixels
from crnn.images.prepare import Picture, prepare

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle


def measure_loss(bundle: Bundle, name: str, samples: Iterable[tuple[Picture, str]]) -> Loss:
    """Read the pictures on the CPU in float32 and by the engine ``name``, greedily, and compare.

    Args:
        samples: pictures with their texts; those that can't be read are passed over.

    Raises:
        EngineError: when the engine can't run here.
        ValueError: for an unknown engine, or when no picture can be read.
    """
    if name not in REDUCED:
        raise ValueError(f"engine is {name!r}; expected one of {sorted(REDUCED)}")
    cpu = torch.device("cpu")
    engines = torch_eager.build(bundle.network(), cpu, None), REDUCED[name](bundle, cpu, None)
    pictures = changed = right = right_reduced = 0
    difference = 0.0
    for pixels_NHWC, texts in _by_width(bundle, samples):
        before, after = (
            greedy(read_in_batches(engine, pixels_NHWC, (REFERENCE_BATCH,)), bundle.charset)
            for engine in engines
        )
        pictures += len(texts)
        for exact, reduced, text in zip(before, after, texts, strict=True):
            changed += exact.text != reduced.text
            right += exact.text == text
            right_reduced += reduced.text == text
            if exact.text == reduced.text:
                found = [bundle.calibration.apply(d.log_probability) for d in (exact, reduced)]
                difference = max(difference, abs(found[0] - found[1]))
    if not pictures:
        raise ValueError(
            "none of the pictures can be read; give readable ones to measure the loss on"
        )
    return Loss(
        release=version(PACKAGES.get(name, "torch")),
        pictures=pictures,
        changed=changed,
        right=right,
        right_reduced=right_reduced,
        max_confidence_difference=difference,
    )


def _by_width(
    bundle: Bundle, samples: Iterable[tuple[Picture, str]]
) -> list[tuple[Pixels, list[str]]]:
    """The readable pictures of each bucket, ``pixels_NHWC``, with their texts."""
    found: dict[int, list[tuple[Pixels, str]]] = defaultdict(list)
    for picture, text in samples:
        try:
            pixels = prepare(picture, bundle.picture).pixels
        except PictureError:
            continue
        found[pixels.shape[1]].append((pixels, text))
    return [
        (np.stack([pixels for pixels, _ in bucket]), [text for _, text in bucket])
        for bucket in found.values()
    ]
