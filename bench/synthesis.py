"""Finished samples a CPU second in both styles, against drawing the bare text with Pillow.

python bench/synthesis.py                       about a minute
python bench/synthesis.py --samples 4000 --fonts ~/fonts

One process on one core, CPU time. A sample is finished when its text is chosen, drawn and encoded.
Beside each style stands what Pillow alone takes for the same texts, in as many of the same fonts:
drawing the text in black on white at about the sample's height, and encoding it as the sample is
(JPEG or PNG, grey or colour). Rounds of both take turns, so that a busy machine slows both. The
last lines are the ratios of the two.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image, ImageDraw, ImageFont

from pipelines.render import choice, synth
from pipelines.render.config import RenderConfig
from pipelines.render.fonts import Font
from pipelines.render.style import STYLES
from pipelines.shards import Sample

WANTED = {"plain": 1000, "full": 400}
"""Samples a second and core that each style shall give at least."""
ROUNDS = 5
_JPEG_QUALITY = 80
_SIZE_PX = (16, 21, 27, 36, 46, 60)
"""Sizes at which the bare text is drawn: few, so that its faces are opened as seldom as ours."""


def task_of(sample: Sample, font: Font) -> tuple[str, Font, int, str, str]:
    """Text, font, size, mode and format in which Pillow shall draw a sample."""
    size = next((s for s in _SIZE_PX if s >= sample["height"] * 0.8), _SIZE_PX[-1])
    with Image.open(io.BytesIO(sample["image"])) as picture:
        return sample["text"], font, size, picture.mode, str(picture.format)


def bare(tasks: Sequence[tuple[str, Font, int, str, str]]) -> None:
    """Draw and encode each text with Pillow alone."""
    for text, font, size, mode, kind in tasks:
        face = _face(font.path, font.index, size)
        left, top, right, bottom = (round(v) for v in face.getbbox(text))
        picture = Image.new(mode, (right - left + 8, bottom - top + 8), "white")
        ImageDraw.Draw(picture).text((4 - left, 4 - top), text, fill="black", font=face)
        options = {"quality": _JPEG_QUALITY} if kind == "JPEG" else {}
        picture.save(io.BytesIO(), kind, **options)


@lru_cache(maxsize=512)
def _face(path: str, index: int, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px, index, layout_engine=ImageFont.Layout.BASIC)


def measure(style: str, samples: int, folders: tuple[str, ...]) -> tuple[float, float, float]:
    """Median samples a CPU second of ours and of bare Pillow, and the median ratio."""
    config = RenderConfig(
        count=samples * ROUNDS,
        style=STYLES[style],
        content="english",
        charset="ascii",
        max_length=24,
        font_folders=folders,
    )
    fonts = synth.chosen_fonts(config, system=True)
    list(synth.render_samples(config, fonts, 0, 16))  # word list, fields and the like
    ours, theirs = [], []
    for turn in range(ROUNDS):
        began_s = time.process_time()
        made = list(synth.render_samples(config, fonts, turn * samples, (turn + 1) * samples))
        ours.append(samples / (time.process_time() - began_s))
        faces = islice(cycle(fonts[: choice.BLOCK_FACES]), len(made))
        tasks = [task_of(sample, font) for sample, font in zip(made, faces, strict=True)]
        began_s = time.process_time()
        bare(tasks)
        theirs.append(samples / (time.process_time() - began_s))
    return median(ours), median(theirs), median(a / b for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1500, help="samples a round and style")
    parser.add_argument("--fonts", nargs="*", default=[], help="folders with more fonts")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    lines = []
    for style, wanted in WANTED.items():
        rate, plain, ratio = measure(style, arguments.samples, tuple(arguments.fonts))
        print(
            f"{style}: {rate:,.0f} samples/CPU s (wanted {wanted:,}), bare text with Pillow "
            f"{plain:,.0f}/CPU s",
            flush=True,
        )
        lines.append(f"{style} style against bare text with Pillow: {ratio:.2f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
