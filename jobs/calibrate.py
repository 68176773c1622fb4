"""Fit a bundle's confidences to labelled pictures: how often such a reading is right.

    python jobs/calibrate.py --bundle bundles/rapid --data shards/val
    python jobs/calibrate.py --bundle bundles/rapid --pictures crops/
    python jobs/calibrate.py --bundle s3://b/bundle --data shards/a shards/b --samples 5000

The pictures are read here by the bundle's default engine and decoder, and two numbers are fitted
(Platt 1999). They are kept in the bundle, with a table of how often its confidences were right,
measured on each half of the pictures with the numbers fitted to the other half. Use pictures that
the recognizer wasn't trained on. Without labels, --pictures counts a reading as right if the
picture reads the same a little wider: a proxy, as a recognizer may misread it twice in the same
way. Texts don't change; the digest of an imported bundle, and of one that reads doubtful pictures
again, changes. Needs no Ray cluster.
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

from crnn.errors import DataError, PictureError
from jobs import cli

if TYPE_CHECKING:
    from crnn.inference.recognizer import Recognizer

FEWEST = 50
WIDER = 1.1
"""Multiple of a picture's width at which it is read too, where there are no labels. Of 1.1, 1.25,
1.5 and several of them this one's agreement tells best which readings are right (measured)."""


@dataclass(frozen=True, kw_only=True)
class CalibrateSettings:
    """Which bundle, and on what."""

    bundle: str
    """The bundle: a folder, s3:// or gs:// address. It is changed in place."""
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET [SET ...]")] = ()
    """Prepared sets of labelled pictures that the recognizer wasn't trained on."""
    pictures: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Pictures without labels, instead of --data: folders or prepared sets."""
    samples: int = 5000
    """Number of pictures to read, equally many from the beginning of each set."""

    def __post_init__(self) -> None:
        if bool(self.data) == bool(self.pictures):
            raise ValueError(
                f"--data is {list(self.data)} and --pictures {list(self.pictures)}; expected one "
                "of them: labelled sets, or pictures without labels"
            )
        if self.samples < FEWEST:
            raise ValueError(f"--samples is {self.samples}; expected at least {FEWEST}")


def main(argv: Sequence[str]) -> None:
    """Read, fit, keep, and print what changed."""
    settings = cli.parse(CalibrateSettings, argv, description=__doc__ or "")
    from crnn.bundle.calibration import calibration_error, confidence_bins, fit
    from crnn.bundle.changes import keep_calibration
    from crnn.inference.recognizer import Recognizer
    from pipelines.samples import from_sets, pictures_at

    recognizer = Recognizer.load(settings.bundle)
    bundle = recognizer.bundle
    if settings.data:
        what = "read right"
        found = read(recognizer, list(from_sets(settings.data, settings.samples)))
    else:
        what = "read the same wider"
        pictures = [data for _, data in pictures_at(settings.pictures, settings.samples)]
        found = read_wider(recognizer, pictures)
    log_probabilities, right = found
    if len(right) < FEWEST or all(right) or not any(right):
        raise DataError(
            f"{sum(right):,} of {len(right):,} pictures are {what}; expected at least {FEWEST} "
            "pictures, of which some are and some aren't: give more, or other ones"
        )
    before = [bundle.calibration.apply(value) for value in log_probabilities]
    after = [0.0] * len(right)
    for half in (0, 1):
        other = fit(log_probabilities[1 - half :: 2], right[1 - half :: 2])
        after[half::2] = [other.apply(value) for value in log_probabilities[half::2]]
    bins = confidence_bins(after, right)
    calibration = fit(log_probabilities, right)
    digest = keep_calibration(settings.bundle, bundle, calibration, bins if settings.data else ())
    print(
        f"{len(right):,} pictures, {sum(right) / len(right):.1%} {what}; expected calibration "
        f"error {calibration_error(confidence_bins(before, right)):.1%} before, "
        f"{calibration_error(bins):.1%} now\n"
        f"kept: slope {calibration.slope:.4g}, bias {calibration.bias:.4g}; digest {digest}",
        flush=True,
    )


def read(
    recognizer: Recognizer, samples: Sequence[tuple[bytes, str]]
) -> tuple[list[float], list[bool]]:
    """Log-probability of each readable picture's text, not calibrated, and whether it is right."""
    from crnn.text.charset import normalise

    pictures = (recognizer.prepared(data) for data, _ in samples)
    found = recognizer.read_prepared(pictures, recognizer.decoder(), chars=False)
    alike = recognizer.bundle.charset.looks_alike
    kept = [n for n in range(len(samples)) if n not in found.errors]
    right = [alike(found.texts[n], normalise(samples[n][1])) for n in kept]
    return [float(found.log_probabilities[n]) for n in kept], right


def read_wider(recognizer: Recognizer, pictures: Sequence[bytes]) -> tuple[list[float], list[bool]]:
    """As ``read``; a text counts as right where the picture reads the same ``WIDER``.

    Left out are pictures that can't be read, or can't be any wider.
    """
    contract, decode = recognizer.bundle.picture, recognizer.decoder()
    prepared = [p for p in map(recognizer.prepared, pictures) if not isinstance(p, PictureError)]
    pairs = [(first, first.stretched(contract, WIDER)) for first in prepared]
    kept = [(first, wider) for first, wider in pairs if wider is not None]
    found, others = (
        recognizer.read_prepared(some, decode, chars=False)
        for some in ([first for first, _ in kept], [wider for _, wider in kept])
    )
    alike = recognizer.bundle.charset.looks_alike
    return found.log_probabilities.tolist(), list(map(alike, found.texts, others.texts))


if __name__ == "__main__":
    cli.run(main)
