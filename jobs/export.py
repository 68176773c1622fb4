"""Add an ONNX model to a bundle, once it is proven to read the same; it runs faster on a CPU.

    python jobs/export.py --bundle runs/first/bundle
    python jobs/export.py --bundle s3://b/bundle --data shards/val --pictures 2000
    python jobs/export.py --bundle runs/first/bundle --engine onnx
    python jobs/export.py --bundle B --data shards/val --reduced openvino-bf16 torch-bf16

PyTorch and every installed engine (ONNX Runtime, OpenVINO) read the same pictures. All texts must
be identical and no probability more than 0.001 apart; otherwise nothing is written and the exit
status is 1. The bundle's digest does not change. The engines of --reduced compute in bfloat16: how
many texts differ, and how many are right, is measured on the same pictures and recorded in the
bundle, which can then be read with them. Finally the speed of the engines is measured. Needs no Ray
cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.bundle.onnx_file import ONNX_FILE, ProvenOnnx
from crnn.engines import AUTO, REDUCED, RUNTIMES, build_engine, engine_for
from crnn.files import storage
from jobs import cli
from jobs.flags import BundleAddress
from pipelines.samples import from_sets, rendered

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle

_REFERENCE = "torch"
_MEASURED_WIDTH_PX = 128


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which bundle, and on what it is proven."""

    bundle: BundleAddress
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SET [SET ...]")] = ()
    """Prepared sets to compare on; default: pictures rendered from the bundle's characters."""
    pictures: int = 1000
    """Number of pictures to compare on, equally many from the beginning of each set."""
    engine: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Engines to compare: onnx, openvino or both; default: the installed ones."""
    reduced: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Measure how much bfloat16 loses with openvino-bf16, torch-bf16 or both; best with --data."""
    rounds: int = 11
    """Number of batches with which the speed of each engine is measured."""

    def __post_init__(self) -> None:
        if self.pictures < 1:
            raise ValueError(f"--pictures is {self.pictures}; expected at least 1")
        if self.rounds < 1:
            raise ValueError(f"--rounds is {self.rounds}; expected at least 1")
        for flag, names, known in (
            ("--engine", self.engine, RUNTIMES),
            ("--reduced", self.reduced, REDUCED),
        ):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise ValueError(f"{flag} has {unknown}; expected some of {sorted(known)}")


def main(argv: Sequence[str]) -> None:
    """Export, prove, keep, and print what was proven and how fast it is."""
    settings = cli.parse(ExportSettings, argv, description=__doc__ or "")
    from crnn.bundle.bundle import load_bundle
    from crnn.bundle.changes import keep_onnx, keep_reduced
    from crnn.engines.export import export_onnx
    from crnn.engines.loss import measure_loss
    from crnn.engines.proof import prove

    bundle = load_bundle(settings.bundle, with_onnx=False)
    if settings.data:
        samples = list(from_sets(settings.data, settings.pictures))
    else:
        samples = list(rendered(bundle.charset.characters, settings.pictures))
    _say("writing the ONNX model")
    model, pictures = export_onnx(bundle), [picture for picture, _ in samples]
    proof = prove(bundle, model, pictures, engines=settings.engine or None, report=_say)
    onnx = ProvenOnnx(data=model, proof=proof)
    proven = replace(bundle, onnx=onnx)
    losses = {name: measure_loss(proven, name, samples) for name in settings.reduced}
    keep_onnx(settings.bundle, bundle, onnx)
    if losses:
        keep_reduced(settings.bundle, bundle, losses)
    kept = replace(proven, reduced=losses)
    print(describe(settings.bundle, kept), flush=True)
    print("\n".join(speeds(kept, rounds=settings.rounds)), flush=True)


def describe(address: str, bundle: Bundle) -> str:
    """What was proven, and where the model lies, in a few lines."""
    assert bundle.onnx is not None
    data, proof = bundle.onnx.data, bundle.onnx.proof
    engines = ", ".join(f"{name} {release}" for name, release in proof.engines.items())
    lost = "".join(f"\nengine {name!r}: {loss}" for name, loss in bundle.reduced.items())
    return (
        f"proven on {proof.pictures:,} pictures in widths {', '.join(map(str, proof.widths))} px "
        f"with {engines}:\n"
        f"texts identical to torch, probabilities at most {proof.max_probability_difference:.1e} "
        f"apart, confidences {proof.max_confidence_difference:.1e}\n"
        f"kept: {storage.join(address, ONNX_FILE)}, {len(data) / 1e6:.1f} MB; "
        f"engine {AUTO!r} is {engine_for(AUTO, bundle)!r} here{lost}"
    )


def speeds(bundle: Bundle, *, rounds: int) -> list[str]:
    """Rates of torch and of each engine that was compared, on noise in the usual batches."""
    import numpy as np
    import torch

    from crnn.engines.speed import as_lines, measure
    from crnn.inference.recognizer import Recognizer

    assert bundle.onnx is not None
    names = (_REFERENCE, *bundle.onnx.proof.engines, *bundle.reduced)
    engines = {name: build_engine(name, bundle) for name in names}
    contract = bundle.picture
    width = contract.bucket_of(_MEASURED_WIDTH_PX)
    size = Recognizer(bundle).batch_size(width)
    shape = (size, contract.height, width, contract.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    measured = measure(engines, pixels, reference=_REFERENCE, rounds=rounds)
    title = (
        f"batches of {size} pictures of {contract.height}x{width} px, "
        f"{torch.get_num_threads()} thread(s), {rounds} rounds:"
    )
    return [title, *as_lines(measured, reference=_REFERENCE)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.run(main)
