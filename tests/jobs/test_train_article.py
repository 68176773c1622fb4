"""The article's check that CTC converges: 160 rendered digit strings, learned by heart."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from crnn.images.contract import PictureContract
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import Charset
from crnn.training.batch import ReadyBatch
from crnn.training.trainer import Trainer
from jobs import cli, prepare
from jobs.training.network import first_network, starting_bundle
from jobs.training.settings import TrainSettings
from pipelines.shards import load_manifest
from tests.jobs.runs import run, within

pytestmark = pytest.mark.slow

COUNT, WIDTH_PX, HEIGHT_PX, BATCH = 160, 40, 32, 16
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
def home(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
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
    done = within(prepare.main, "mjsynth", "set", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def flags(backbone: str) -> tuple[str, ...]:
    return (
        *("--data", "set", "--val", "set", "--name", backbone, "--charset", "digits"),
        *("--model.backbone", backbone, "--model.rnn-hidden", "64", "--augment.strength", "0"),
        *("--picture.mode", "fixed", "--picture.widths", str(WIDTH_PX)),
        *("--optim.weight-decay", "1e-3", "--optim.warmup", "0.1", "--patience", "0"),
        *("--batch-pixels", str(BATCH * HEIGHT_PX * WIDTH_PX), "--optim.ema-decay", "0"),
        *("--validate-every", str(3 * COUNT), *SETTINGS[backbone]),
    )


def test_the_job_learns_160_strings_by_heart(home: Path) -> None:
    assert load_manifest(str(home / "set")).count == COUNT
    done = run(*flags("mobile"), cwd=home)
    assert done.returncode == 0, done.stderr
    folder = home / "runs" / "mobile"
    total = json.loads((folder / "report.json").read_text())["total"]
    assert (total["count"], total["exact"]) == (COUNT, COUNT), done.stdout
    recognizer = Recognizer.load(str(folder / "bundle"))
    some = texts()[::16]
    pictures = sorted((home / "mjsynth").rglob("*.jpg"), key=lambda p: int(p.name.split("_")[0]))
    assert [result.text for result in recognizer.read(pictures[::16])] == some


@pytest.mark.nightly
@pytest.mark.parametrize("backbone", ["vgg", "vgg16_bn", "resnet"])
def test_other_backbones_learn_them_too(backbone: str) -> None:
    """In this process, by the same steps with the same settings."""
    settings = cli.parse(TrainSettings, flags(backbone), description="")
    charset = Charset.named("digits")
    trainer = Trainer(
        first_network(settings, charset, starting_bundle(settings)),
        charset,
        settings.optim,
        total_samples=settings.epochs * COUNT,
        device=torch.device("cpu"),
    )
    samples, rng = list(enumerate(texts())), random.Random(0)
    for _ in range(settings.epochs):
        rng.shuffle(samples)
        for start in range(0, COUNT, BATCH):
            trainer.train([batch_of(samples[start : start + BATCH], settings.picture, charset)])
    found = trainer.validate([batch_of(samples, settings.picture, charset)])
    assert (found.sums.count, found.sums.exact) == (COUNT, COUNT), found.examples


def batch_of(
    samples: Sequence[tuple[int, str]], picture: PictureContract, charset: Charset
) -> ReadyBatch:
    """A ready batch of these strings, each in the font of its number."""
    images = [painted(text, FONTS[number % len(FONTS)]) for number, text in samples]
    pixels = [picture.fit(np.asarray(image)) for image in images]
    targets = [charset.encode(text) for _, text in samples]
    return ReadyBatch(
        images_NHWC=torch.from_numpy(np.stack(pixels)),
        targets_S=torch.tensor([i for target in targets for i in target], dtype=torch.int64),
        lengths_N=torch.tensor([len(target) for target in targets], dtype=torch.int64),
        ids=tuple(text for _, text in samples),
    )
