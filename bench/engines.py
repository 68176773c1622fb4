"""The inference engines against each other, on one bundle.

python bench/engines.py                             bundles/strings, one thread
python bench/engines.py --bundle B --width 256 --engines torch onnx --threads 2
python bench/engines.py --device cuda --batch 1024

Every engine that runs here reads the same batches of noise, as large as the recognizer's own, in
turns of one batch. A bundle without a proven model.onnx is exported first, in memory only. The
ratio is the median over the rounds of torch's time by the engine's; the last line names what
``auto`` is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crnn.bundle.bundle import Bundle, load_bundle
from crnn.bundle.onnx_file import ProvenOnnx
from crnn.engines import (
    AUTO,
    ENGINES,
    OF_TORCH,
    REDUCED,
    RUNTIMES,
    engine_for,
    is_installed,
)
from crnn.engines.export import export_onnx
from crnn.engines.graph import Engine
from crnn.engines.proof import prove
from crnn.engines.speed import as_lines, measure
from crnn.errors import EngineError
from crnn.inference.recognizer import BATCH_PIXELS

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "strings"
REFERENCE = "torch"
PROVEN_ON = 64
BUILDERS = {**ENGINES, **REDUCED}
"""REDUCED ones too, whether or not the bundle says what they lose."""


def with_onnx(bundle: Bundle) -> Bundle:
    """The bundle with an ONNX model, made and proven on noise where it has none for an engine."""
    here = {name for name in RUNTIMES if is_installed(name)}
    if not here or (bundle.onnx is not None and here <= set(bundle.onnx.proof.engines)):
        return bundle
    rng = np.random.default_rng(1)
    widths = rng.integers(bundle.picture.widths[0], bundle.picture.widths[-1] + 1, PROVEN_ON)
    noise = [rng.integers(0, 256, (bundle.picture.height, w), dtype=np.uint8) for w in widths]
    model = export_onnx(bundle)
    return replace(bundle, onnx=ProvenOnnx(data=model, proof=prove(bundle, model, noise)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default=str(BUNDLE))
    parser.add_argument("--engines", nargs="+", default=sorted(BUILDERS), choices=sorted(BUILDERS))
    parser.add_argument("--width", type=int, default=128, help="of the pictures, px")
    parser.add_argument("--batch", type=int, default=0, help="pictures; 0: as the recognizer")
    parser.add_argument("--rounds", type=int, default=41, help="batches of each engine")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="where those of torch run (%(default)s)")
    return parser.parse_args()


def built(bundle: Bundle, names: Sequence[str], device: str, threads: int) -> dict[str, Engine]:
    """Those of the engines that run on this device and machine."""
    found = {}
    for name in names:
        try:
            if device == "cpu" or name in OF_TORCH:
                found[name] = BUILDERS[name](bundle, torch.device(device), threads)
        except EngineError as error:
            print(error)
    return found


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    bundle = load_bundle(args.bundle)
    if args.device == "cpu":
        bundle = with_onnx(bundle)
    names = list(dict.fromkeys([REFERENCE, *args.engines]))
    engines = built(bundle, names, args.device, args.threads)
    height = bundle.picture.height
    size = args.batch or max(1, BATCH_PIXELS // (height * args.width))
    shape = (size, height, args.width, bundle.picture.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    speeds = measure(engines, pixels, reference=REFERENCE, rounds=args.rounds)
    print(
        f"{bundle.name} ({bundle.model_config.backbone}), batches of {size} pictures of "
        f"{height}x{args.width} px on {args.device}, {args.threads} thread(s), {args.rounds} rounds"
    )
    print("\n".join(as_lines(speeds, reference=REFERENCE)))
    missing = sorted(set(args.engines) - set(engines))
    if missing:
        print(f"not here: {', '.join(missing)}")
    print(f"{AUTO}: {engine_for(AUTO, bundle, args.device)}")


if __name__ == "__main__":
    main()
