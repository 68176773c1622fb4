"""Does a rewritten graph read what the original reads, and a bundle what its package reads?

Shape suffixes: N pictures, H height, W bucket width, C channels or classes, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle

import numpy as np
import torch

from crnn.bundle.bundle import Bundle
from crnn.bundle.importing.classes import Classes
from crnn.bundle.importing.graph import Graph
from crnn.bundle.importing.rewrite import Normalisation
from crnn.bundle.onnx_file import Proof
from crnn.engines import PACKAGES, RUNTIMES
from crnn.engines.graph import Engine
from crnn.engines.proof import by_width, differences, names_of
from crnn.errors import EngineError
from crnn.images.contract import Pixels
from crnn.images.prepare import Picture
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import normalise

FEWEST_OF_A_WIDTH = 4
MOST_PICTURES = 200
"""That engines are compared on: each is read by the original alone, and by every engine."""
BATCH_SIZES = (1, 2, 7, 3)
"""Sizes of the batches that are tried, in turns."""


def original(graph: Graph, classes: Classes, normalisation: Normalisation) -> Engine:
    """The graph as it came, reading one picture at a time; nothing of ``rewrite`` is in it."""

    def run(pixels_NHWC: Pixels) -> torch.Tensor:
        found_NTC = [
            classes.of(graph.log_probs(normalisation.apply(pixels[None]))) for pixels in pixels_NHWC
        ]
        log_probs_TNC = np.concatenate(found_NTC).transpose(1, 0, 2).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(log_probs_TNC))

    return run


def prove_rewritten(
    bundle: Bundle,
    model: bytes,
    reference: Engine,
    pictures: Sequence[Picture],
    *,
    report: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Compare every installed engine that runs ``model`` with the original, in odd batches.

    An engine that reads something else is left out of the proof, hence never used, and reported.

    Raises:
        EngineError: when no engine agrees, or none is installed.
        ValueError: when no picture can be read.
    """
    threads = torch.get_num_threads()
    running = {name: RUNTIMES[name](model, threads) for name in names_of(None)}
    count, widths = by_width(bundle.picture, pictures[:MOST_PICTURES], FEWEST_OF_A_WIDTH)
    worst = np.zeros(2)
    for width, pixels_NHWC in widths.items():
        report(f"comparing {', '.join(running)} with the original at {width} px")
        begin = 0
        for size in cycle(BATCH_SIZES):
            batch_NHWC = pixels_NHWC[begin : begin + size]
            if not len(batch_NHWC):
                break
            expected_TNC, begin = reference(batch_NHWC), begin + size
            for name, engine in list(running.items()):
                try:
                    found_TNC = engine(batch_NHWC)
                    found = differences(
                        bundle, name, width, expected_TNC, found_TNC, reference="the source"
                    )
                except EngineError as error:
                    report(f"{error}; engine {name!r} won't be used")
                    del running[name]
                    if not running:
                        raise
                else:
                    worst = np.maximum(worst, found)
    return Proof(
        pictures=count,
        widths=tuple(widths),
        engines={name: version(PACKAGES[name]) for name in running},
        max_probability_difference=float(worst[0]),
        max_confidence_difference=float(worst[1]),
    )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A bundle beside its package's own code, on the same pictures."""

    count: int
    """Pictures whose text by the package the bundle's charset can write."""
    same: int
    """Those that the bundle reads as the package does."""
    outside: int
    """Other pictures: the charset was cut, and lacks a character of the package's text."""
    failed: int
    """Pictures that either couldn't read."""
    differences: tuple[tuple[str, str, str], ...]
    """Picture, text of the package, text of the bundle."""

    @property
    def share(self) -> float:
        """Share of equal texts; 1 if there is nothing to compare."""
        return self.same / self.count if self.count else 1.0

    def to_dict(self) -> dict[str, int | float]:
        """For the bundle's metrics."""
        return {
            "pictures": self.count,
            "same_text": self.same,
            "share": self.share,
            "outside_the_charset": self.outside,
            "failed": self.failed,
        }


def agreement(
    bundle: Bundle, own: Callable[[bytes], str | None], pictures: Iterable[tuple[str, bytes]]
) -> Agreement:
    """Read ``pictures`` (name and encoded bytes) with the bundle and with ``own``; compare texts.

    Args:
        own: the package's code; None where it can't read a picture.
    """
    named = list(pictures)
    results = Recognizer(bundle).read([data for _, data in named], chars=False)
    count = same = outside = failed = 0
    apart = []
    for (name, data), result in zip(named, results, strict=True):
        text = own(data)
        expected = None if text is None else normalise(text)
        if expected is None or result.error_code is not None:
            failed += 1
        elif bundle.charset.unknown(expected):
            outside += 1
        else:
            count += 1
            same += expected == result.text
            if expected != result.text:
                apart.append((name, expected, result.text))
    return Agreement(
        count=count, same=same, outside=outside, failed=failed, differences=tuple(apart)
    )
