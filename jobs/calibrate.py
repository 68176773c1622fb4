"""Fit a bundle's confidences to labelled pictures: how often such a reading is right.

    python jobs/calibrate.py --bundle bundles/rapid --data shards/val
    python jobs/calibrate.py --bundle s3://b/bundle --data shards/a shards/b --samples 5000

The pictures are read here by the bundle's default engine and decoder, and two numbers are fitted
(Platt 1999). They are kept in the bundle, with the table of how often its confidences were right:
measured on each half of the pictures with what the other half gave. Use pictures that the
recognizer wasn't trained on. Texts stay as they were; the digest of an imported bundle, and of one
that reads doubtful pictures again, changes. Needs no Ray cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.errors import DataError
from jobs import cli

if TYPE_CHECKING:
    from crnn.recognizer import Recognizer

FEWEST = 50


@dataclass(frozen=True, kw_only=True)
class CalibrateSettings:
    """Which bundle, and on what."""

    bundle: str
    """The bundle: a folder, s3:// or gs:// address. It is changed in place."""
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET [SET ...]")]
    """Prepared sets of labelled pictures that the recognizer wasn't trained on."""
    samples: int = 5000
    """Number of pictures to read, equally many from the beginning of each set."""

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("--data names no set; expected at least one")
        if self.samples < FEWEST:
            raise ValueError(f"--samples is {self.samples}; expected at least {FEWEST}")


def main(argv: Sequence[str]) -> None:
    """Read, fit, keep, and print what changed."""
    settings = cli.parse(CalibrateSettings, argv, description=__doc__ or "")
    from crnn.bundle import keep_calibration
    from crnn.calibration import calibration_error, confidence_bins, fit
    from crnn.recognizer import Recognizer
    from pipelines.samples import from_sets

    recognizer = Recognizer.load(settings.bundle)
    bundle = recognizer.bundle
    log_probabilities, right = read(recognizer, list(from_sets(settings.data, settings.samples)))
    if len(right) < FEWEST or all(right) or not any(right):
        raise DataError(
            f"of {len(right):,} pictures {sum(right):,} are read right; expected at least {FEWEST} "
            "pictures, some read right and some wrong, to fit anything: give other sets or more"
        )
    before = [bundle.calibration.apply(value) for value in log_probabilities]
    after = [0.0] * len(right)
    for half in (0, 1):
        other = fit(log_probabilities[1 - half :: 2], right[1 - half :: 2])
        after[half::2] = [other.apply(value) for value in log_probabilities[half::2]]
    bins = confidence_bins(after, right)
    calibration = fit(log_probabilities, right)
    digest = keep_calibration(settings.bundle, bundle, calibration, bins)
    print(
        f"{len(right):,} pictures, {sum(right) / len(right):.1%} read right; expected calibration "
        f"error {calibration_error(confidence_bins(before, right)):.1%} before, "
        f"{calibration_error(bins):.1%} now\n"
        f"kept: slope {calibration.slope:.4g}, bias {calibration.bias:.4g}; digest {digest}",
        flush=True,
    )


def read(
    recognizer: Recognizer, samples: Sequence[tuple[bytes, str]]
) -> tuple[list[float], list[bool]]:
    """Log-probability of each readable picture's text, not calibrated, and whether it is right."""
    from crnn.charset import normalise

    pictures = (recognizer.prepared(data) for data, _ in samples)
    found = recognizer.read_prepared(pictures, recognizer.decoder(), chars=False)
    alike = recognizer.bundle.charset.looks_alike
    kept = [n for n in range(len(samples)) if n not in found.errors]
    right = [alike(found.texts[n], normalise(samples[n][1])) for n in kept]
    return [float(found.log_probabilities[n]) for n in kept], right


if __name__ == "__main__":
    cli.run(main)
