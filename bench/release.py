"""From a run's bundle to one that is shipped: float16, measured on labelled pictures, told so.

python bench/release.py runs/words/bundle bundles/mobile --words DIR DIR --lines DIR
python bench/release.py runs/words/bundle bundles/mobile --words DIR --calibrate --facts facts.yaml
then: python jobs/export.py --bundle bundles/mobile

Weights are rounded to float16 first, so that what is measured is what is shipped. The card gets
the share of each set that is right by letters and digits, with its 95% interval, and the
reliability of the confidences on all of them. ``--calibrate`` fits the confidences' two numbers to
these readings; the reliability is then that of fits to the other half of them. ``--facts`` names a
YAML file that the card repeats under Training: commands (a list), seed, samples, hours, machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.accuracy import BundleRead, Outcome, Reading, cross_fitted, fitted, read_with
from bench.labelled import LabelledSet, labelled_set
from crnn.bundle import Bundle, load_bundle, save_bundle
from crnn.calibration import Calibration, calibration_error, confidence_bins
from crnn.metrics import Sums, wilson_interval
from pipelines.evaluation.result import CONFIDENCE_BINS


def save(bundle: Bundle, out: str, **changes: Any) -> None:
    """The bundle in float16, as it is but for the changes."""
    given: dict[str, Any] = {
        name: getattr(bundle, name)
        for name in (
            *("model", "charset", "picture", "decoder", "calibration", "name", "data_digest"),
            *("metrics", "training", "reliability"),
        )
    }
    save_bundle(out, float16=True, **{**given, **changes})


def figures(sums: Sums) -> dict[str, float]:
    """What the card states of one set."""
    low, high = wilson_interval(sums.alnum_exact, sums.count)
    shares = {"alnum_accuracy": sums.alnum_accuracy, "low": low, "high": high}
    return {"pictures": sums.count, **{name: round(share, 4) for name, share in shares.items()}}


def measured(sets: Sequence[LabelledSet], outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """The figures of each set, and of the words pooled where there are several sets of them."""
    found = {one.name: figures(outcomes[one.name].sums) for one in sets}
    words = [one.name for one in sets if not one.lines]
    if len(words) > 1:
        found["words pooled"] = figures(sum((outcomes[name].sums for name in words), Sums()))
    return found


def confidences(read: BundleRead, calibrate: bool) -> tuple[Calibration, list[float]]:
    """The calibration to ship, and a confidence for each reading that it wasn't fitted to."""
    if not calibrate:
        shipped = read.calibration
        return shipped, [shipped.apply(r.log_probability) for r in read.readings]
    return fitted(read.readings), cross_fitted(read.readings)


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    sets = [labelled_set(one, lines=False) for one in arguments.words]
    sets += [labelled_set(one, lines=True) for one in arguments.lines]
    name = Path(arguments.out).name
    bundle = load_bundle(arguments.bundle, with_onnx=False)
    save(bundle, arguments.out, name=name)
    read = read_with(arguments.out, sets, "torch")
    calibration, confident = confidences(read, arguments.calibrate)
    readings: list[Reading] = read.readings
    bins = confidence_bins(confident, [r.right for r in readings], CONFIDENCE_BINS)
    facts = yaml.safe_load(arguments.facts.read_text()) if arguments.facts else bundle.training
    save(
        bundle,
        arguments.out,
        name=name,
        calibration=calibration,
        metrics={**bundle.metrics, **measured(sets, read.outcomes)},
        training=facts,
        reliability=bins,
    )
    print((Path(arguments.out) / "MODEL_CARD.md").read_text())
    print(f"expected calibration error {calibration_error(bins):.2%} of {len(readings):,} readings")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", help="of a run")
    parser.add_argument("out", help="folder of the bundle to be shipped; its name is the bundle's")
    parser.add_argument("--words", nargs="*", default=[], help="folders of labelled words")
    parser.add_argument("--lines", nargs="*", default=[], help="folders of labelled lines")
    parser.add_argument("--calibrate", action="store_true", help="on these readings")
    parser.add_argument("--facts", type=Path, help="YAML: how it was trained")
    options = parser.parse_args()
    if not options.words + options.lines:
        parser.error("no --words and no --lines: give folders of labelled pictures")
    main(options)
