"""The article's check that CTC converges: 160 rendered digit strings, learned by heart."""

from __future__ import annotations

import json
import random
from pathlib import Path

import matplotlib
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnn.recognizer import Recognizer
from pipelines.shards import load_manifest
from tests.jobs.runs import PROJECT, run

pytestmark = pytest.mark.slow

COUNT, WIDTH_PX, HEIGHT_PX = 160, 40, 32
FONTS = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
SETTINGS = {
    "mobile": ("--epochs", "28", "--optim.lr", "5e-3"),
    "vgg": ("--epochs", "14", "--optim.lr", "1e-3"),
    "vgg16_bn": ("--epochs", "10", "--optim.lr", "1e-3"),
    "resnet": ("--epochs", "14", "--optim.lr", "1e-3", "--model.width-multiplier", "0.5"),
}


def painted(text: str, font_name: str) -> Image.Image:
    """The text in one of Matplotlib's fonts, dark on light."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / font_name
    font = ImageFont.truetype(str(path), 19)
    image = Image.new("L", (WIDTH_PX, HEIGHT_PX), 225)
    left, top, right, bottom = font.getbbox(text)
    at = ((WIDTH_PX - right - left) / 2, (HEIGHT_PX - bottom - top) / 2)
    ImageDraw.Draw(image).text(at, text, font=font, fill=30)
    return image


def texts() -> list[str]:
    """Distinct strings of 2 or 3 digits, doubled ones among them."""
    rng = random.Random(160)
    found: set[str] = set()
    while len(found) < COUNT:
        found.add("".join(rng.choices("0123456789", k=rng.randint(2, 3))))
    return sorted(found)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as MJSynth has it, prepared into shards by the job."""
    folder = tmp_path_factory.mktemp("article")
    tree, words, lines = folder / "mjsynth", texts(), []
    (tree / "2425" / "1").mkdir(parents=True)
    for number, text in enumerate(words):
        name = f"./2425/1/{number}_{text}_{number}.jpg"
        painted(text, FONTS[number % len(FONTS)]).save(tree / name, quality=90)
        lines.append(f"{name} {number}\n")
    (tree / "lexicon.txt").write_text("".join(f"{word}\n" for word in words))
    (tree / "annotation_train.txt").write_text("".join(lines))
    done = run("mjsynth", "set", cwd=folder, job=PROJECT / "jobs" / "prepare.py")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("backbone", sorted(SETTINGS))
def test_160_strings_are_learned_by_heart(home: Path, backbone: str) -> None:
    assert load_manifest(str(home / "set")).count == COUNT
    done = run(
        *("--data", "set", "--val", "set", "--name", backbone, "--charset", "digits"),
        *("--model.backbone", backbone, "--model.rnn-hidden", "64", "--augment.strength", "0"),
        *("--picture.mode", "fixed", "--picture.widths", str(WIDTH_PX)),
        *("--optim.weight-decay", "1e-3", "--optim.warmup", "0.1", "--patience", "0"),
        *("--batch-pixels", str(16 * HEIGHT_PX * WIDTH_PX), "--optim.ema-decay", "0"),
        *("--validate-every", str(3 * COUNT), *SETTINGS[backbone]),
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    folder = home / "runs" / backbone
    total = json.loads((folder / "report.json").read_text())["total"]
    assert (total["count"], total["exact"]) == (COUNT, COUNT), done.stdout
    recognizer = Recognizer.load(str(folder / "bundle"))
    some = texts()[::16]
    pictures = sorted((home / "mjsynth").rglob("*.jpg"), key=lambda p: int(p.name.split("_")[0]))
    assert [result.text for result in recognizer.read(pictures[::16])] == some
