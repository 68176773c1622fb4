"""What the benchmarks read: a rendered set in a temporary folder, and its stream."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray

from crnn.images.contract import PictureContract
from crnn.model.network import CRNN, ModelConfig
from crnn.text.charset import Charset
from jobs import cluster
from pipelines.augment import AugmentConfig
from pipelines.manifest import load_manifest
from pipelines.render.synth import RenderConfig, render_set
from pipelines.shards import read_row_group
from pipelines.stream import flow
from pipelines.stream.assemble import StreamConfig

CHARSET = "codes"
VAL_SAMPLES = 256
VAL_SEED = 1


@contextlib.contextmanager
def rendered(samples: int) -> Iterator[Path]:
    """A temporary folder with the sets ``train`` and ``val`` in it, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        print(f"rendering {samples:,} pictures", flush=True)
        cluster.connect(None)
        render_set(str(folder / "train"), RenderConfig(count=samples))
        render_set(
            str(folder / "val"), RenderConfig(count=VAL_SAMPLES, seed=VAL_SEED, split="held_out")
        )
        ray.shutdown()
        yield folder


def picture_files(shards: Path, folder: Path, pictures: int) -> None:
    """``pictures`` files, links to those of the shards over and over."""
    folder.mkdir()
    manifest, firsts = load_manifest(str(shards)), []
    for shard in manifest.shards:
        for group in range(len(shard.row_groups)):
            table = read_row_group(str(shards), shard.name, group, columns=["image"])
            for data in table["image"].to_pylist():
                kind = ".png" if data.startswith(b"\x89PNG") else ".jpg"
                firsts.append(folder / f"{len(firsts):07d}{kind}")
                firsts[-1].write_bytes(data)
    for number in range(len(firsts), pictures):
        source = firsts[number % len(firsts)]
        os.link(source, folder / f"{number:07d}{source.suffix}")


def new_model(charset: Charset, picture: PictureContract) -> CRNN:
    """The model that ``jobs/train.py`` trains by default."""
    return CRNN(
        ModelConfig(),
        num_classes=charset.num_classes,
        in_channels=picture.channels,
        height=picture.height,
    )


def stream_of(uri: str) -> StreamConfig:
    """The training stream that ``jobs/train.py`` makes of a set by default."""
    charset, picture = Charset.named(CHARSET), PictureContract()
    model = new_model(charset, picture)
    return StreamConfig(
        sources=(flow.load_source(uri)[0],),
        charset=charset,
        picture=picture,
        time_steps=tuple((width, model.time_steps(width)) for width in picture.widths),
        augment=AugmentConfig(),
    )
