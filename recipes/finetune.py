"""What fine-tuning a bundle on somebody's own pictures gives, and how long it takes.

python recipes/finetune.py captchas DIR --bundle bundles/mobile
python recipes/finetune.py lines DIR --bundle bundles/mobile
python recipes/finetune.py captchas DIR --words DIR DIR --limit 500

``captchas``: of a folder of labelled pictures the first 500 of its list are trained on, with their
own characters, and the others read, right when every character is. Where a list is sorted, the
first 500 begin with other characters than the rest, and a network soon learns what never comes
first. So each is trained on again with its last characters in front and another captcha's first
ones after them. ``lines``: a fifth of the groups of pictures (by a hash of what --group-pattern
finds in the name, such as a receipt's number) is read, the others are trained on; right by letters
and digits, in any case.

The bundle that comes out is calibrated, and that of the lines chosen, on a twentieth held out of
what is trained on, so that nothing is known of what is read. Prints each command and the minutes
that all took.

With ``--words`` rendered words are replayed, as ``crnn train`` does unless told otherwise, and
these sets are read before and after, and by a cascade for each bound of ``--below``: by the bundle
as it was and, what that doubts, by the new one, whose reading counts where it is surer.
Without it the bundle learns the pictures alone.
"""

from __future__ import annotations

import argparse
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides.labelled import LabelledSet, labelled_set
from crnn.bundle.bundle import load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.inference.cascade import Cascade
from crnn.inference.recognizer import Recognizer
from crnn.text.metrics import Sums, score, wilson_interval

ROOT = Path(__file__).resolve().parent.parent
Ink = NDArray[np.float64]
"""What is left of the paper's light at each place, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a bundle is fine-tuned on, and what it reads then."""

    train: Path
    val: Path
    test: Path
    took_s: float
    """Duration of the commands that prepared them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a bundle is fine-tuned."""

    prepare: Callable[[Path, Path, str], Data]
    """Of a folder of labelled pictures, in a folder for its work, by a group pattern."""
    train: tuple[str, ...]
    """Flags of ``jobs/train.py``."""
    counted: Callable[[Sums], int]
    """Readings that are right."""
    rule: str
    """The same in words."""


TRAINED_ON = 500
HELD_OUT = 20
"""One in this many of the captchas that are trained on is held out."""
SPLICED = 15
"""Pictures made of a captcha's last characters and another's first ones, for each captcha."""
FIRST_PX, WIDTH_PX, WIDE_PX, NEAR_PX = 29, 21.3, 28.0, 3
"""Where a captcha's first character begins; how wide one is, and an m or a w; how far off that may
be. Fitted to where the 500 end."""


def prepare_captchas(folder: Path, work: Path, group_pattern: str) -> Data:
    """The first captchas of the list and spliced ones to train on; all others to test on."""
    trained_on, held_out, others = split_list(folder, work)
    train, val = work / "train", work / "val"
    took_s = run("jobs/prepare.py", str(splice(trained_on, work / "spliced")), str(train))
    took_s += run("jobs/prepare.py", str(held_out), str(val))
    return Data(train=train, val=val, test=others, took_s=took_s)


def split_list(folder: Path, out: Path) -> list[Path]:
    """Three folders of the same pictures: trained on, held out of these, and all after them."""
    lines = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    first = list(enumerate(lines[:TRAINED_ON]))
    parts = {
        "trained_on": [line for number, line in first if number % HELD_OUT],
        "held_out": [line for number, line in first if number % HELD_OUT == 0],
        "others": lines[TRAINED_ON:],
    }
    for name, members in parts.items():
        part = out / name
        part.mkdir()
        (part / "labels.tsv").write_text("".join(members), encoding="utf-8")
        for entry in folder.iterdir():
            if entry.is_dir():
                (part / entry.name).symlink_to(entry.resolve())
    return [out / name for name in parts]


def splice(folder: Path, out: Path) -> Path:
    """Captchas, and such as begin with one's last characters and end with another's first ones.

    Then any character comes first in some picture.
    """
    chance, labels = random.Random(0), []
    samples = [
        line.split("\t")
        for line in (folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
    ]
    pictures = np.stack([np.asarray(Image.open(folder / name).convert("L")) for name, _ in samples])
    paper_HW = pictures.max(axis=0).clip(1)  # the same behind all of them
    inks = [picture_HW / paper_HW for picture_HW in pictures]  # 1: none
    seams = [seams_of(ink_HW, text) for ink_HW, (_, text) in zip(inks, samples, strict=True)]
    out.mkdir()
    for index, (name, text) in enumerate(samples):
        drawn = {f"{Path(name).stem}.png": (inks[index], text)}
        for number in range(SPLICED):
            other, cut = chance.randrange(len(samples)), chance.randrange(1, len(text))
            ink_HW = spliced(inks[index], seams[index], inks[other], seams[other], cut)
            drawn[f"{Path(name).stem}-{number}.png"] = ink_HW, text[cut:] + samples[other][1][:cut]
        for file, (ink_HW, label) in drawn.items():
            Image.fromarray((ink_HW * paper_HW).round().astype(np.uint8)).save(out / file)
            labels.append(f"{file}\t{label}\n")
    (out / "labels.tsv").write_text("".join(labels), encoding="utf-8")
    return out


def seams_of(ink_HW: Ink, text: str) -> list[int]:
    """Where to cut before each character, and after the last: a column with little ink, px."""
    columns_W = ink_HW.sum(axis=0)
    seams, near = [], float(FIRST_PX)
    for character in [*text, ""]:
        start = round(near) - NEAR_PX
        seams.append(start + int(columns_W[start : round(near) + NEAR_PX + 1].argmax()))
        near += WIDE_PX if character in "mw" else WIDTH_PX
    return seams


def spliced(ink_HW: Ink, seams: list[int], other_HW: Ink, other_seams: list[int], cut: int) -> Ink:
    """A captcha from its character ``cut`` on, between its margins, and the other up to that."""
    width = ink_HW.shape[1]
    parts = (
        ink_HW[:, : seams[0]],
        ink_HW[:, seams[cut] : seams[-1]],
        other_HW[:, other_seams[0] : other_seams[cut]],
        ink_HW[:, seams[-1] :],
    )
    joined_HW = np.concatenate(parts, axis=1)[:, :width]
    return np.pad(joined_HW, ((0, 0), (0, width - joined_HW.shape[1])), constant_values=1.0)


def prepare_lines(folder: Path, work: Path, group_pattern: str) -> Data:
    """Shards of the lines, split by groups."""
    shards, shares = work / "shards", ("--val-share", "0.05", "--test-share", "0.2")
    flags = (*shares, "--group-pattern", group_pattern)
    took_s = run("jobs/prepare.py", str(folder), str(shards), *flags)
    return Data(train=shards / "train", val=shards / "val", test=shards / "test", took_s=took_s)


RECIPES = {
    # Validated at the end alone: 25 pictures don't tell which of several checkpoints is best. The
    # RNN learns slowly, as it is what learns which characters never come first.
    "captchas": Recipe(
        prepare=prepare_captchas,
        train=(
            *("--epochs", "6", "--validate-every", "1000000"),
            *("--optim.lr-scales", "rnn", "0.1", "--model.dropout", "0.2"),
        ),
        counted=lambda sums: sums.exact,
        rule="read exactly",
    ),
    "lines": Recipe(
        prepare=prepare_lines,
        train=("--epochs", "4", "--validate-every", "6000", "--optim.lr", "0.002"),
        counted=lambda sums: sums.alnum_exact,
        rule="right by letters and digits",
    ),
}


def shape_flags(uri: str) -> list[str]:
    """Flags of ``jobs/train.py`` for a network of the bundle's shape, whose weights all fit."""
    bundle = load_bundle(uri, with_onnx=False)
    model, picture = bundle.model_config, bundle.picture
    flags = ["--model.backbone", model.backbone, "--model.rnn", model.rnn]
    flags += ["--model.width-multiplier", str(model.width_multiplier)]
    flags += ["--model.rnn-hidden", str(model.rnn_hidden)]
    flags += ["--model.rnn-layers", str(model.rnn_layers)]
    flags += ["--picture.height", str(picture.height), "--picture.channels", str(picture.channels)]
    flags += ["--picture.mode", picture.mode, "--picture.stretch", str(picture.stretch)]
    return [*flags, "--picture.widths", *map(str, picture.widths)]


def run(script: str, *arguments: str) -> float:
    """One of the jobs to its end; the seconds that it took."""
    print(shlex.join(["python", script, *arguments]), flush=True)
    began_s = time.monotonic()
    subprocess.run([sys.executable, str(ROOT / script), *arguments], check=True)
    return time.monotonic() - began_s


def read(by: Recognizer | Cascade, one: LabelledSet) -> Sums:
    """How many of the set are read right."""
    results = by.read(one.pictures, chars=False)
    return sum((score(r.text, label) for r, label in zip(results, one.labels, strict=True)), Sums())


def told(what: str, sums: Sums, recipe: Recipe) -> str:
    """The share that is right, its interval and the character error rate, in a line."""
    right = recipe.counted(sums)
    low, high = wilson_interval(right, sums.count)
    return (
        f"{what}: {right / sums.count:.1%} of {sums.count:,} {recipe.rule} "
        f"(95% interval {low:.1%} to {high:.1%}), CER {sums.character_error_rate:.1%}"
    )


def forgotten(
    before: Recognizer, after: Recognizer | Cascade, sets: Sequence[LabelledSet]
) -> list[str]:
    """By set and pooled: words right by letters and digits, before and after."""
    pooled, told_of = [Sums(), Sums()], []
    for one in sets:
        found = [read(by, one) for by in (before, after)]
        pooled = [total + sums for total, sums in zip(pooled, found, strict=True)]
        told_of.append(points(one.name, *found))
    return [*told_of, points("words pooled", *pooled)]


def points(name: str, before: Sums, after: Sums) -> str:
    """How many points of accuracy a set has lost, in a line."""
    lost = 100 * (before.alnum_accuracy - after.alnum_accuracy)
    return (
        f"{name}: {before.alnum_accuracy:.1%} before, {after.alnum_accuracy:.1%} after, "
        f"{lost:+.1f} points lost, of {after.alnum_count:,}"
    )


def main(arguments: argparse.Namespace, more: Sequence[str]) -> None:
    """Prepares, trains, reads, and prints what it gave; ``more`` are flags of training."""
    recipe, bundle = RECIPES[arguments.kind], arguments.bundle or default_bundle()
    with tempfile.TemporaryDirectory(prefix="finetune-") as name:
        work = Path(name)
        data = recipe.prepare(arguments.folder, work, arguments.group_pattern)
        flags = ("--data", str(data.train), "--val", str(data.val), "--init-from", bundle)
        flags = (*flags, *shape_flags(bundle), *recipe.train)
        flags = flags if arguments.words else (*flags, "--replay", "0")
        runs = str(arguments.out or work)
        flags = (*flags, "--storage-path", runs, "--name", arguments.kind)
        took_s = data.took_s + run("jobs/train.py", *flags, *more)
        test = labelled_set(str(data.test), lines=arguments.kind == "lines")
        start = Recognizer.load(bundle)
        print(told(f"start, {bundle}", read(start, test), recipe))
        tuned = Recognizer.load(f"{runs}/{arguments.kind}/bundle")
        print(told("fine-tuned", read(tuned, test), recipe))
        if arguments.words:
            words = [labelled_set(w, lines=False, limit=arguments.limit) for w in arguments.words]
            print(*forgotten(start, tuned, words), sep="\n")
            for below in arguments.below:
                both = Cascade(start, tuned, below=below, surer=True)
                rule = f"start, then fine-tuned below {below:g} if surer"
                print(told(rule, read(both, test), recipe))
                print(*forgotten(start, both, words), sep="\n")
    print(f"{took_s / 60:.1f} minutes for all commands, their starts and evaluation included")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Further flags go to jobs/train.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=sorted(RECIPES))
    parser.add_argument("folder", type=Path, help="labelled pictures, with a labels.tsv")
    parser.add_argument("--bundle", default="", help="to start from; default: the shipped one")
    parser.add_argument("--group-pattern", default=r"(\d+)_\d+", help="of lines (%(default)s)")
    parser.add_argument("--words", nargs="+", default=[], help="sets to measure forgetting on")
    parser.add_argument(
        "--below", nargs="+", type=float, default=[0.9], help="with --words: bounds"
    )
    parser.add_argument("--limit", type=int, default=0, help="words of each of them; 0: all")
    parser.add_argument("--out", type=Path, help="folder that keeps the run; default: none")
    main(*parser.parse_known_args())
