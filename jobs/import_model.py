"""Make a bundle of another project's CTC recognizer: an ONNX file, or a package that has one.

    python jobs/import_model.py rapidocr bundles/rapid --proof crops/
    python jobs/import_model.py rapidocr bundles/rapid --charset ascii_space
    python jobs/import_model.py rec.onnx bundles/rec --characters keys.txt --channel-order bgr
    python jobs/import_model.py rec.onnx bundles/rec --mean 0 --std 1 --blank last

The bundle is of kind 'imported': read, evaluated, calibrated, reviewed and served like any other,
with the engines of ONNX, but not trained. What the flags don't give is detected by inspecting and
running the graph, and printed. Pictures are read by the original and by every engine: an engine
that reads another text isn't used. With --proof those of a known package are read by its own code
too, and texts that differ are listed in OUT/differences.tsv. Known packages: rapidocr,
rapidocr-onnxruntime, captcha-whisperer, installed or as a .whl file. Needs no Ray cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobs import cli
from jobs.import_settings import ImportSettings

if TYPE_CHECKING:
    from jobs.importing import Made

_SHOWN = 10
"""Differences that are printed."""


def main(argv: Sequence[str]) -> None:
    """Import, prove, keep, and print what was found; status 1 below ``--least-agreement``."""
    settings = cli.parse(ImportSettings, argv, description=__doc__ or "")
    from jobs.importing import import_model

    made = import_model(settings, report=_say)
    print("\n".join(f"{key}: {value}" for key, value in made.found.items()))
    engines = ", ".join(f"{name} {release}" for name, release in made.proof.engines.items())
    print(
        f"proven on {made.proof.pictures:,} pictures with {engines}: texts identical to the "
        f"source, probabilities at most {made.proof.max_probability_difference:.1e} apart"
    )
    agreed = _show_agreement(made, settings)
    print(f"kept: {settings.out}, {len(made.data) / 1e6:.1f} MB", flush=True)
    if not agreed:
        sys.exit(1)


def _show_agreement(made: Made, settings: ImportSettings) -> bool:
    """Whether the bundle reads as the package's own code, as far as that was compared."""
    found = made.agreement
    if found is None:
        return True
    print(
        f"the package's own code reads {found.same:,} of {found.count:,} pictures the same "
        f"({found.share:.1%}); {found.outside:,} more hold characters that were cut, "
        f"{found.failed:,} can't be read"
    )
    for name, own, ours in found.differences[:_SHOWN]:
        print(f"  {name}: {own!r} by the package, {ours!r} here")
    if found.share < settings.least_agreement:
        _say(
            f"error: {found.share:.1%} is below --least-agreement {settings.least_agreement:g}; "
            f"the bundle is kept; see {settings.out}/differences.tsv. Other --widths, "
            "--shrinking or --padding may agree better"
        )
        return False
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main)
