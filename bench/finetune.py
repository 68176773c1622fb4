"""What fine-tuning a bundle on somebody's own pictures gives, and how long it takes.

python bench/finetune.py captchas DIR --bundle bundles/mobile
python bench/finetune.py lines DIR --bundle bundles/mobile

``captchas``: of a folder of labelled pictures the first 500 of its list are trained on, with their
own characters, and the others read, right when every character is. Where a list is sorted, the
first 500 begin with other characters than the rest, and a network soon learns what never comes
first. So rendered strings of these characters are mixed in, and what is left of each of the 500
without its first characters, which stand in captchas of this kind at even distances. ``lines``: a
fifth of the groups of pictures (by a hash of what --group-pattern finds in the name, such as a
receipt's number) is read, the others are trained on; right by letters and digits, in any case.

The bundle that comes out is chosen and calibrated on a twentieth held out of what is trained on, so
that nothing is known of what is read. Prints each command and the minutes that all took.
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

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.labelled import LabelledSet, labelled_set
from crnn.bundle import load_bundle
from crnn.metrics import Sums, score, wilson_interval
from crnn.recognizer import Recognizer
from crnn.shipped import default_bundle
from pipelines.manifest import load_manifest

ROOT = Path(__file__).resolve().parent.parent
TRAINED_ON = 500
FIRST_PX, PITCH_PX = 29, 23
"""Where a captcha's first character begins, and how far it is to the next, px."""
Counted = Callable[[Sums], int]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a bundle is fine-tuned: flags of the jobs."""

    prepare: tuple[str, ...]
    render: tuple[str, ...]
    """Of ``jobs/synthesize.py``, for a set that is mixed in; none where empty."""
    train: tuple[str, ...]
    counted: Counted
    """Readings that are right."""
    rule: str
    """The same in words."""


CAPTCHAS = Recipe(
    # A captcha and its tail are both trained on, or both held out.
    prepare=("--val-share", "0.05", "--group-pattern", r"([^/]+)\.\w+$"),
    render=("--count", "4000", "--content", "codes", "--max-length", "6", "--style", "full"),
    # Validated at the end alone: 25 pictures don't tell which of several checkpoints is best. The
    # RNN learns slowly, as it is what learns which characters never come first.
    train=(
        *("--epochs", "18", "--weights", "1", "1", "--optim.lr-scales", "rnn", "0.1"),
        *("--validate-every", "1000000", "--model.dropout", "0.2"),
    ),
    counted=lambda sums: sums.exact,
    rule="read exactly",
)
LINES = Recipe(
    prepare=("--val-share", "0.05", "--test-share", "0.2"),
    render=(),
    train=("--epochs", "4", "--validate-every", "6000", "--optim.lr", "0.002"),
    counted=lambda sums: sums.alnum_exact,
    rule="right by letters and digits",
)
RECIPES = {"captchas": CAPTCHAS, "lines": LINES}


def split_list(folder: Path, out: Path) -> tuple[Path, Path]:
    """Two folders of the same pictures: the first lines of the list, and the others."""
    lines = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    parts = out / "first", out / "others"
    for part, members in zip(parts, (lines[:TRAINED_ON], lines[TRAINED_ON:]), strict=True):
        part.mkdir()
        (part / "labels.tsv").write_text("".join(members), encoding="utf-8")
        for entry in folder.iterdir():
            if entry.is_dir():
                (part / entry.name).symlink_to(entry.resolve())
    return parts


def add_tails(folder: Path) -> None:
    """To each captcha what is left of it when its first few characters are cut off.

    Then any character comes first in some picture.
    """
    chance, lines = random.Random(0), []
    tails = folder / "tails"
    tails.mkdir()
    listed = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
    for name, text in (line.split("\t") for line in listed):
        cut = chance.randrange(1, len(text) - 1)
        with Image.open(folder / name) as picture:
            left = FIRST_PX + cut * PITCH_PX
            picture.crop((left, 0, *picture.size)).save(tails / f"{Path(name).stem}.png")
        lines.append(f"tails/{Path(name).stem}.png\t{text[cut:]}\n")
    with (folder / "labels.tsv").open("a", encoding="utf-8") as file:
        file.writelines(lines)


def shape_flags(uri: str) -> list[str]:
    """Flags of ``jobs/train.py`` for a network of the bundle's shape, whose weights all fit."""
    bundle = load_bundle(uri, with_onnx=False)
    model, picture = bundle.model_config, bundle.picture
    flags = ["--model.backbone", model.backbone, "--model.rnn", model.rnn]
    flags += ["--model.width-multiplier", str(model.width_multiplier)]
    flags += ["--model.rnn-hidden", str(model.rnn_hidden)]
    flags += ["--model.rnn-layers", str(model.rnn_layers)]
    flags += ["--picture.height", str(picture.height), "--picture.channels", str(picture.channels)]
    return [*flags, "--picture.mode", picture.mode, "--picture.widths", *map(str, picture.widths)]


def run(script: str, *arguments: str) -> float:
    """One of the jobs to its end; the seconds that it took."""
    print(shlex.join(["python", script, *arguments]), flush=True)
    began_s = time.monotonic()
    subprocess.run([sys.executable, str(ROOT / script), *arguments], check=True)
    return time.monotonic() - began_s


def read(uri: str, one: LabelledSet) -> Sums:
    results = Recognizer.load(uri).read(one.pictures, chars=False)
    return sum((score(r.text, label) for r, label in zip(results, one.labels, strict=True)), Sums())


def told(what: str, sums: Sums, recipe: Recipe) -> str:
    right = recipe.counted(sums)
    low, high = wilson_interval(right, sums.count)
    return (
        f"{what}: {right / sums.count:.1%} of {sums.count:,} {recipe.rule} "
        f"(95% interval {low:.1%} to {high:.1%}), CER {sums.character_error_rate:.1%}"
    )


def main(arguments: argparse.Namespace, more: Sequence[str]) -> None:
    recipe, bundle = RECIPES[arguments.kind], arguments.bundle or default_bundle()
    with tempfile.TemporaryDirectory(prefix="finetune-") as name:
        work = Path(name)
        shards, tested, flags = str(work / "shards"), work / "shards" / "test", recipe.prepare
        source = arguments.folder
        if arguments.kind == "captchas":
            source, tested = split_list(arguments.folder, work)
            add_tails(source)
        else:
            flags = (*flags, "--group-pattern", arguments.group_pattern)
        took_s = run("jobs/prepare.py", str(source), shards, *flags)
        sets = [str(work / "shards" / "train")]
        if recipe.render:
            sets.append(str(work / "rendered"))
            characters = "".join(load_manifest(sets[0]).characters)
            took_s += run("jobs/synthesize.py", sets[1], "--charset", characters, *recipe.render)
        flags = ("--data", *sets, "--val", str(work / "shards" / "val"), "--init-from", bundle)
        flags = (*flags, *shape_flags(bundle), *recipe.train)
        flags = (*flags, "--storage-path", str(arguments.out or work), "--name", arguments.kind)
        took_s += run("jobs/train.py", *flags, *more)
        test = labelled_set(str(tested), lines=arguments.kind == "lines")
        trained = str((arguments.out or work) / arguments.kind / "bundle")
        print(told(f"start, {bundle}", read(bundle, test), recipe))
        print(told("fine-tuned", read(trained, test), recipe))
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
    parser.add_argument("--group-pattern", default=r"(\d+)_\d+", help="(%(default)s)")
    parser.add_argument("--out", type=Path, help="folder that keeps the run; default: none")
    main(*parser.parse_known_args())
