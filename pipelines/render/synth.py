"""Rendered shard sets, on Ray Data: a row is a range of numbers, a task renders it to shards.

Sample ``i`` of a set depends on the seed, on ``i``, on the fonts and photographs alone, not on who
renders it or in what ranges. A run that was killed goes on where it stopped; a finished set stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import ray
import ray.data
from numpy.random import Generator

from crnn.errors import CrnnError, DataError
from crnn.files import storage
from pipelines.claim import at_work
from pipelines.output import claim, part_address, read_parts, release
from pipelines.render.choice import Faces, faces_of, some
from pipelines.render.config import (
    RENDERER_VERSION,
    RenderConfig,
    all_fonts,
    check_inputs,
    chosen_fonts,
    recipe_of,
    text_kinds,
)
from pipelines.render.draw import draw
from pipelines.render.fields import Pixels
from pipelines.render.fonts import Font, held_out_families, here, select_fonts
from pipelines.render.photos import list_photos, load_photo
from pipelines.render.texts import TextKind, TextSplit, draw_text
from pipelines.shards import Manifest, Part, Sample, ShardWriter, finish

__all__ = [
    "RENDERER_VERSION",
    "RenderConfig",
    "chosen_fonts",
    "id_prefix",
    "render_part",
    "render_samples",
    "render_set",
    "text_kinds",
]

BLOCK_ROWS = 1024
"""Consecutive samples that share a few faces and photographs, which so are drawn and read once."""
BLOCK_PHOTOS = 24
BLOCK_OTHERS = 48
"""Texts of a block that stand around others."""
_BLOCK_SALT = 0xB10C
_FONT_TRIES = 4
_TEXT_TRIES = 500
_SIDES: tuple[TextSplit, ...] = ("train", "held_out", "all")


def render_set(
    out_uri: str,
    config: RenderConfig,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Render a set of shards into ``out_uri``; Ray must be initialised unless it is there.

    Args:
        report: told the pictures done and the pictures in all whenever a task ends.

    Returns:
        The manifest; at once when the finished set of this configuration lies there already.

    Raises:
        DataError: another job is at work in ``out_uri``, it holds something else (and no
            ``overwrite``, or no rendered set), or no font has all of the characters.
    """
    check_inputs(config)
    with at_work(out_uri):
        return _rendered(out_uri, config, report)


def _rendered(out_uri: str, config: RenderConfig, report: Callable[[int, int], None]) -> Manifest:
    recipe = recipe_of(config)
    finished = claim(out_uri, {"": recipe}, overwrite=config.overwrite)[""]
    if finished is not None:
        return finished
    parts = read_parts(out_uri)
    missing = [row for row in _ranges(config) if row["part"] not in parts]
    for name, part in _run(out_uri, config, missing):
        parts[name] = part
        report(sum(p.count for p in parts.values()), config.count)
    manifest = finish(out_uri, (parts[name] for name in sorted(parts)), recipe)
    release(out_uri)
    return manifest


def render_samples(
    config: RenderConfig,
    fonts: Sequence[Font],
    start: int,
    stop: int,
    *,
    unseen_families: Collection[str] = (),
) -> Iterator[Sample]:
    """Samples ``start`` to ``stop`` (not included) of the set, drawn in ``fonts``; needs no Ray.

    The ``source`` of a sample tells whether its font is of ``unseen_families``, so that an
    evaluation can report these apart.
    """
    kinds = text_kinds(config)
    photos = list_photos(config.backgrounds)
    prefix = id_prefix(config)
    faces = faces_of(fonts, config.style)
    block = _Block(number=-1, faces=Faces(usual=()))
    for index in range(start, stop):
        if index // BLOCK_ROWS != block.number:
            block = _open_block(config, index // BLOCK_ROWS, kinds, faces, photos)
        rng = np.random.default_rng([config.seed, index, _SIDES.index(config.split)])
        text, font = _text_and_font(rng, kinds, block.faces.kind(rng, config.style), config.split)
        others = block.others_for(font)
        picture = draw(text, font, rng, config.style, others=others, photos=block.photos)
        yield Sample(
            id=f"{prefix}{index:08d}",
            image=picture.data,
            text=text,
            width=picture.width,
            height=picture.height,
            source="rendered, unseen font" if font.family in unseen_families else "rendered",
        )


def id_prefix(config: RenderConfig) -> str:
    """What tells samples of unlike sets apart, when they are mixed: their ids begin with it."""
    words = ["rendered"]
    if config.split != "train":
        words.append(config.split.replace("_", "-"))
    if config.content != "codes":
        words.append("lines" if config.lines else config.content)
    return f"{'-'.join(words)}-{config.seed}-"


@dataclass(kw_only=True)
class _Block:
    """What consecutive samples share, so that caches serve; it depends on the block's number."""

    number: int
    faces: Faces
    others: Sequence[str] = ()
    photos: Sequence[Pixels] = ()
    _writable: dict[str, list[str]] = field(default_factory=dict)

    def others_for(self, font: Font) -> list[str]:
        """The texts around others that ``font`` can write."""
        if font.key not in self._writable:
            self._writable[font.key] = [text for text in self.others if font.writes(text)]
        return self._writable[font.key]


def _open_block(
    config: RenderConfig,
    number: int,
    kinds: Mapping[str, TextKind],
    faces: Faces,
    photos: Sequence[str],
) -> _Block:
    rng = np.random.default_rng([_BLOCK_SALT, config.seed, number, _SIDES.index(config.split)])
    chosen = faces.some(rng)
    style = config.style
    others: list[str] = []
    if style.above_share or style.below_share or style.beside_share:
        others = [draw_text(rng, kinds, split=config.split) for _ in range(BLOCK_OTHERS)]
    used = some(rng, photos, BLOCK_PHOTOS) if style.photo_share else []
    return _Block(
        number=number,
        faces=chosen,
        others=others,
        photos=[load_photo(photo) for photo in used],
    )


def _text_and_font(
    rng: Generator, kinds: Mapping[str, TextKind], fonts: Sequence[Font], split: TextSplit
) -> tuple[str, Font]:
    """A text and a face that has a glyph for each of its characters."""
    for _ in range(_TEXT_TRIES):
        text = draw_text(rng, kinds, split=split)
        for _ in range(_FONT_TRIES):
            font = fonts[int(rng.integers(len(fonts)))]
            if font.writes(text):
                return text, font
    raise DataError(
        f"{_TEXT_TRIES} texts were drawn, the last {text!r}, but no font that was tried has all "
        "of their characters; give more complete fonts, or a smaller charset"
    )


def _ranges(config: RenderConfig) -> Iterator[dict[str, Any]]:
    rows = config.rows_a_part
    for number, start in enumerate(range(0, config.count, rows)):
        stop = min(config.count, start + rows)
        yield {"part": f"part-{number:05d}", "start": start, "stop": stop}


def _run(
    out_uri: str, config: RenderConfig, ranges: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Part]]:
    """Parts as their tasks finish them."""
    if not ranges:
        return
    several = sum(node["Alive"] for node in ray.nodes()) > 1
    fonts = all_fonts(config, system=not several)
    settings: dict[str, Any] = {
        "out_uri": out_uri,
        "config": config.from_anywhere(),
        "fonts": select_fonts(fonts, config.fonts),
        "unseen_families": held_out_families(fonts),
    }
    faces_of(settings["fonts"], config.style)  # whether there are any, before tasks start
    rows = ray.data.from_items([dict(row) for row in ranges], override_num_blocks=len(ranges))
    for row in rows.map(partial(render_part, **settings)).iter_rows():
        if row["error"]:
            raise DataError(row["error"])
        yield row["part"], Part.from_dict(json.loads(row["statistics"]))


def render_part(
    row: Mapping[str, Any],
    *,
    out_uri: str,
    config: RenderConfig,
    fonts: Sequence[Font],
    unseen_families: Collection[str],
) -> dict[str, str]:
    """The task: one range → its shards, then its part file.

    Returns ``part`` (its name), ``statistics`` (``Part`` as JSON) and ``error`` (empty, or why
    the whole job can't go on).
    """
    cv2.setNumThreads(1)
    name = str(row["part"])
    try:
        samples = render_samples(
            config,
            [here(font) for font in fonts],
            int(row["start"]),
            int(row["stop"]),
            unseen_families=unseen_families,
        )
        with ShardWriter(out_uri, name) as writer:
            writer.write(samples)
        statistics = writer.close().to_json()
        storage.write_bytes(part_address(out_uri, name), statistics.encode())
    except (CrnnError, OSError) as error:
        return {"part": name, "statistics": "", "error": f"{name}: {error}"}
    return {"part": name, "statistics": statistics, "error": ""}
