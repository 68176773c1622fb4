"""A small set and a bundle of random weights, for the tests of evaluation and its report."""

from __future__ import annotations

import io
import random
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from crnn.bundle.bundle import save_bundle
from crnn.bundle.calibration import Calibration
from crnn.images.contract import PictureContract
from crnn.inference.recognizer import Recognizer
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from pipelines.evaluation.tally import Mistake
from pipelines.shards import Sample, ShardWriter, finish
from tests.crnn.networks import CONFIG as SHARP
from tests.crnn.networks import sharp_model

CHARSET = Charset("0123456789")
CONTRACT = PictureContract(widths=(32, 64, 96, 128))
CALIBRATION = Calibration(slope=0.7, bias=0.3)


def random_bundle(folder: Path, seed: int = 5) -> str:
    """A bundle that reads nonsense, but not the empty string; its address."""
    torch.manual_seed(seed)
    config = ModelConfig(backbone="mobile", rnn_hidden=16)
    model = CRNN(config, num_classes=CHARSET.num_classes, in_channels=1, height=32)
    with torch.no_grad():
        for width in CONTRACT.widths:  # batch norms take in what pictures look like
            model(torch.rand(16, 1, 32, width) * 2 - 1)
        model.head.weight.mul_(8.0)
    save_bundle(
        folder,
        model=model.eval(),
        charset=CHARSET,
        picture=CONTRACT,
        calibration=CALIBRATION,
        name="random <b>digits</b>",
        data_digest="none",
        metrics={},
    )
    return str(folder)


def unlike_bundle(folder: Path, characters: str = "uvwxyz") -> str:
    """One of another contract and, unless they are given, other characters; its address."""
    charset = Charset(characters)
    picture = PictureContract(height=48, channels=3, widths=(64, 160))
    save_bundle(
        folder,
        model=sharp_model(SHARP, charset, picture),
        charset=charset,
        picture=picture,
        name="unlike",
        data_digest="none",
        metrics={},
    )
    return str(folder)


def rendered(text: str) -> bytes:
    """A PNG of black text on white, 24 px high."""
    font = ImageFont.load_default(18)
    width = max(8, int(font.getlength(text)) + 8)
    image = Image.new("L", (width, 24), 255)
    ImageDraw.Draw(image).text((4, 1), text, font=font, fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def sample(sample_id: str, text: str, picture: bytes | None = None) -> Sample:
    """One row of a shard."""
    data = rendered(text) if picture is None else picture
    width, height = (20, 24) if picture is not None else Image.open(io.BytesIO(data)).size
    return Sample(
        id=sample_id, image=data, text=text, width=width, height=height, source="rendered"
    )


def digits(count: int, seed: int, prefix: str = "d") -> list[Sample]:
    """Rendered strings of 1 to 6 digits."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices("0123456789", k=rng.randint(1, 6))) for _ in range(count)]
    return [sample(f"{prefix}{i:04d}", text) for i, text in enumerate(texts)]


def write_set(folder: Path | str, rows: list[Sample], *, row_group_rows: int = 20) -> str:
    """A finished folder of shards; its address."""
    with ShardWriter(str(folder), "shard", row_group_rows=row_group_rows) as writer:
        writer.write(rows)
    finish(str(folder), [writer.close()], {"kind": "test"})
    return str(folder)


def partly_right(rows: list[Sample], bundle: str) -> list[Sample]:
    """The rows, every third of them labelled with what the bundle reads in it."""
    texts = [result.text for result in Recognizer.load(bundle).read([r["image"] for r in rows])]
    return [
        {**row, "text": text} if i % 3 == 0 and text else row
        for i, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]


def prepared_cases(folder: Path) -> tuple[str, dict[str, str], list[Sample]]:
    """A bundle, two sets, and the rows of the first: right, wrong and out of reach."""
    bundle = random_bundle(folder / "bundle")
    rows = [
        *partly_right(digits(60, seed=1), bundle),
        sample("junk", "12", b"no picture"),
        sample("markup", '<i>&"1'),
        sample("endless", "1" * 60),
    ]
    sets = {
        "first <set>": write_set(folder / "first", rows),
        "second": write_set(folder / "second", digits(25, seed=2, prefix="e")),
    }
    return bundle, sets, rows


def mistake(number: int) -> Mistake:
    return Mistake(
        set="s", id=f"{number:04d}", label="a", text="b",
        confidence=(number * 37 % 101) / 101, edits=number * 13 % 7, picture=b"",
    )  # fmt: skip
