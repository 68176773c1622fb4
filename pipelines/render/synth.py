"""Rendered shard sets, on Ray Data: a row is a range of numbers, a task renders it to shards.

Sample ``i`` of a set depends on the seed, on ``i`` and on the fonts alone, not on who renders it
or in what ranges. A run that was killed goes on where it stopped; a finished set stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import cv2
import numpy as np
import ray
import ray.data

from crnn import storage
from crnn.charset import Charset
from crnn.errors import CrnnError, DataError
from pipelines.output import claim, part_address, read_parts, release
from pipelines.render.draw import StyleConfig, draw
from pipelines.render.fonts import Font, FontSplit, find_fonts, held_out_families, select_fonts
from pipelines.render.texts import (
    MAX_LENGTH,
    Kind,
    TextSplit,
    chars_kind,
    draw_text,
    kinds_for,
    weighted,
    words_kind,
)
from pipelines.shards import Manifest, Part, Sample, ShardWriter, finish

RENDERER_VERSION = 1
"""Raised when the same configuration gives other pictures than before."""
PARTS_WANTED = 32
PART_ROWS = (512, 16384)
"""Least and most pictures of one task: some seconds of work, a shard of at most 100 MB."""


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What a rendered set holds. Which fonts this machine has is not part of it."""

    count: int
    """Pictures in the set."""
    seed: int = 0
    """Another seed, other texts and pictures."""
    split: TextSplit = "train"
    """Side of the texts: no text of a ``held_out`` set can be in a ``train`` set."""
    fonts: FontSplit = "train"
    """Families that training may see, those it never sees, or all."""
    system_fonts: bool = True
    """Also the fonts of this machine's folders; on several nodes only packaged fonts are used."""
    charset: str = "codes"
    """A charset's name, or the characters themselves."""
    kinds: Mapping[str, float] | None = None
    """Weights by kind (``KINDS``, and ``chars`` for random strings); None: all that fit."""
    words: tuple[str, ...] = ()
    """Instead of kinds: texts to choose from; the charset is then that of the words."""
    min_length: int = 2
    """Least characters of a random string."""
    max_length: int = MAX_LENGTH
    """Most characters of a random string."""
    style: StyleConfig = field(default_factory=StyleConfig)
    """How varied the pictures are."""
    part_rows: int = 0
    """Pictures that one task renders; 0: by the count. The samples don't depend on it."""
    overwrite: bool = False
    """Replace a rendered set of another configuration instead of refusing to."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected at least 1 picture")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")
        if self.split not in ("train", "held_out"):
            raise ValueError(f"split is {self.split!r}; expected 'train' or 'held_out'")
        if self.part_rows < 0:
            raise ValueError(f"part_rows is {self.part_rows}; expected 0 (automatic) or more")
        if self.words and self.kinds is not None:
            raise ValueError("both words and kinds are given; expected one of them")
        text_kinds(self)

    @property
    def rows_a_part(self) -> int:
        """Pictures that one task renders."""
        least, most = PART_ROWS
        return self.part_rows or min(most, max(least, -(-self.count // PARTS_WANTED)))


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
        DataError: ``out_uri`` holds something else (and no ``overwrite``, or no rendered set),
            or no font has all of the characters.
    """
    recipe = _recipe(config)
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
    prefix = "rendered" if config.split == "train" else "rendered-held-out"
    for index in range(start, stop):
        rng = np.random.default_rng([config.seed, index, config.split == "held_out"])
        text = draw_text(rng, kinds, split=config.split)
        font = fonts[int(rng.integers(len(fonts)))]
        picture = draw(text, font, rng, config.style)
        yield Sample(
            id=f"{prefix}-{config.seed}-{index:08d}",
            image=picture.data,
            text=text,
            width=picture.width,
            height=picture.height,
            source="rendered, unseen font" if font.family in unseen_families else "rendered",
        )


def text_kinds(config: RenderConfig) -> dict[str, Kind]:
    """The kinds of text that a configuration asks for, with their weights.

    Raises:
        ValueError: unknown kinds, weights that are none, or impossible lengths.
    """
    if config.words:
        return {"words": words_kind(config.words)}
    characters = Charset.named(config.charset).characters
    lengths = {"min_length": config.min_length, "max_length": config.max_length}
    random_strings = chars_kind(characters, **lengths)
    kinds = kinds_for(characters, **lengths)
    if config.kinds is None:
        return kinds
    return weighted({"chars": random_strings, **kinds}, config.kinds)


def chosen_fonts(config: RenderConfig, *, system: bool) -> tuple[Font, ...]:
    """This machine's faces for a configuration, sorted by key.

    Raises:
        DataError: when there is none.
    """
    return select_fonts(_all_fonts(config, system=system), config.fonts)


def _all_fonts(config: RenderConfig, *, system: bool) -> tuple[Font, ...]:
    characters = {c for kind in text_kinds(config).values() for c in kind.characters}
    return find_fonts("".join(sorted(characters)), system=system)


def _recipe(config: RenderConfig) -> dict[str, Any]:
    """All that decides the data but the fonts, in values that JSON keeps as they are."""
    left_out = {"words", "style", "overwrite", "part_rows", "charset"}
    plain = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in left_out}
    words = hashlib.sha256("\n".join(config.words).encode()).hexdigest() if config.words else ""
    recipe = {
        "made_by": "render",
        "renderer_version": RENDERER_VERSION,
        **plain,
        "kinds": None if config.kinds is None else dict(config.kinds),
        "charset": Charset.named(config.charset).characters,
        "words_digest": words,
        "style": asdict(config.style),
        "part_rows": config.rows_a_part,
    }
    return dict(json.loads(json.dumps(recipe)))


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
    system = config.system_fonts and not several
    fonts = chosen_fonts(config, system=system)
    settings: dict[str, Any] = {
        "out_uri": out_uri,
        "config": config,
        "font_keys": tuple(font.key for font in fonts),
        "system": system,
    }
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
    font_keys: Sequence[str],
    system: bool,
) -> dict[str, str]:
    """The task: one range → its shards, then its part file.

    Returns ``part`` (its name), ``statistics`` (``Part`` as JSON) and ``error`` (empty, or why
    the whole job can't go on).
    """
    cv2.setNumThreads(1)
    name = str(row["part"])
    try:
        here = {font.key: font for font in _all_fonts(config, system=system)}
        lacking = [key for key in font_keys if key not in here]
        if lacking:
            raise DataError(
                f"this node lacks the fonts {lacking[:5]} that the driver has; install the same "
                "packages on all nodes"
            )
        samples = render_samples(
            config,
            [here[key] for key in font_keys],
            int(row["start"]),
            int(row["stop"]),
            unseen_families=held_out_families(here.values()),
        )
        with ShardWriter(out_uri, name) as writer:
            writer.write(samples)
        statistics = writer.close().to_json()
        storage.write_bytes(part_address(out_uri, name), statistics.encode())
    except (CrnnError, OSError) as error:
        return {"part": name, "statistics": "", "error": f"{name}: {error}"}
    return {"part": name, "statistics": statistics, "error": ""}
