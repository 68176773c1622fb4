"""From a run's bundle to one that is shipped: float16, measured on labelled pictures, told so.

python recipes/release.py runs/words/bundle bundles/mobile --words DIR DIR --lines DIR
python recipes/release.py runs/words/bundle bundles/mobile --words DIR --calibrate-on SET SET
then: python jobs/export.py --bundle bundles/mobile

Weights are rounded to float16 first, so that what is measured is what is shipped. The card gets
the share of each set that is right by letters and digits, with its 95% interval, and the
reliability of the confidences on all of them. ``--calibrate-on`` names labelled or prepared sets,
held out of training, whose readings the confidences' two numbers are fitted to, right where they
are so but for the case, which c, o or s alone don't tell; else they stay as the run fitted them.
``--facts`` names a YAML file that the card repeats under Training: commands (a list), seed,
samples, hours, machine. ``--widths``, ``--stretches``, ``--below`` and ``--turn-from`` give the
bundle other bucket widths or another reading policy, with the same weights; without sets the card
states the figures that it had.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.labelled import LabelledSet, labelled_set
from bench.sides.readings import Outcome, read_with
from crnn.bundle.bundle import Bundle, load_bundle, save_bundle
from crnn.bundle.calibration import Calibration, calibration_error, confidence_bins, fit
from crnn.bundle.changes import keep_onnx, keep_reduced
from crnn.text.metrics import Sums, wilson_interval
from pipelines.evaluation.result import CONFIDENCE_BINS


def save(bundle: Bundle, out: str, **changes: Any) -> None:
    """The bundle in float16, as it is but for the changes."""
    given: dict[str, Any] = {
        name: getattr(bundle, name)
        for name in (
            *("model", "charset", "picture", "reading", "decoder", "calibration", "name"),
            *("data_digest", "metrics", "training", "reliability", "fusion"),
        )
    }
    save_bundle(out, float16=True, **{**given, **changes})
    saved = load_bundle(out, with_onnx=False)
    if (
        bundle.onnx and saved.weights_sha256 == bundle.weights_sha256
    ):  # what is proven of them stays
        keep_onnx(out, saved, bundle.onnx)
        keep_reduced(out, saved, bundle.reduced)


def figures(sums: Sums) -> dict[str, float]:
    """What the card states of one set."""
    low, high = wilson_interval(sums.alnum_exact, sums.alnum_count)
    shares = {"alnum_accuracy": sums.alnum_accuracy, "low": low, "high": high}
    return {"pictures": sums.count, **{name: round(share, 4) for name, share in shares.items()}}


def measured(sets: Sequence[LabelledSet], outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """The figures of each set, and of the words pooled where there are several sets of them."""
    found = {one.name: figures(outcomes[one.name].sums) for one in sets}
    words = [one.name for one in sets if not one.lines]
    if len(words) > 1:
        found["words pooled"] = figures(sum((outcomes[name].sums for name in words), Sums()))
    return found


def calibrated_on(uri: str, folders: Sequence[str]) -> Calibration:
    """The calibration under which the readings of these sets are most probable."""
    readings = read_with(uri, [labelled_set(one, lines=False) for one in folders], "torch").readings
    right = [r.text.casefold() == r.label.casefold() for r in readings]
    return fit([r.log_probability for r in readings], right)


def with_reading(bundle: Bundle, arguments: argparse.Namespace) -> Bundle:
    """The bundle with the bucket widths and the reading policy that were given, if any were."""
    picture, changed = bundle.picture, {}
    if arguments.widths:
        picture = replace(picture, widths=tuple(arguments.widths))
    for name in ("stretches", "below", "turn_from"):
        if getattr(arguments, name) is not None:
            value = getattr(arguments, name)
            changed[name] = tuple(value) if isinstance(value, list) else value
    return replace(bundle, picture=picture, reading=replace(bundle.reading, **changed))


def main(arguments: argparse.Namespace) -> None:
    """Writes the bundle that is shipped, and prints its card."""
    torch.set_num_threads(1)
    sets = [labelled_set(one, lines=False) for one in arguments.words]
    sets += [labelled_set(one, lines=True) for one in arguments.lines]
    name = Path(arguments.out).name
    bundle = with_reading(load_bundle(arguments.bundle), arguments)
    facts = yaml.safe_load(arguments.facts.read_text()) if arguments.facts else bundle.training
    save(bundle, arguments.out, name=name, training=facts)
    if not sets:  # other widths or another policy: what was measured before stays
        return
    read = read_with(arguments.out, sets, "torch")
    sets_aside = arguments.calibrate_on
    calibration = calibrated_on(arguments.out, sets_aside) if sets_aside else bundle.calibration
    readings = read.readings
    confident = [calibration.apply(r.log_probability) for r in readings]
    bins = confidence_bins(confident, [r.right for r in readings], CONFIDENCE_BINS)
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
    parser.add_argument("--calibrate-on", nargs="*", default=[], help="sets held out of training")
    parser.add_argument("--facts", type=Path, help="YAML: how it was trained")
    parser.add_argument("--widths", type=int, nargs="*", help="bucket widths, px")
    parser.add_argument("--stretches", type=float, nargs="*", help="of the reading policy")
    parser.add_argument("--below", type=float, help="of the reading policy")
    parser.add_argument("--turn-from", type=float, help="of the reading policy")
    options = parser.parse_args()
    if not options.words + options.lines and not options.widths:
        parser.error("no --words, no --lines: give folders of labelled pictures, or other --widths")
    main(options)
