"""Labelled pictures → shards, on Ray Data: rows are ranges of the listing, never single pictures.

A task reads the pictures of its range, proves that they decode, writes its own shards and then
its part file; the manifest comes last. A job killed at any moment and run again does only the
ranges whose part file is missing, and ends in the same data as one that was never disturbed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from crnn import storage
from crnn.errors import DataError
from crnn.image import MAX_PIXELS
from pipelines.manifest import Manifest, Part, finish
from pipelines.output import claim, read_parts, release
from pipelines.prepare_task import prepare_part
from pipelines.sources import Listing, scan

PART_ROWS = (256, 8192)
"""Least and most pictures in one range: a task's start costs as much as some 100 pictures."""
RANGES_WANTED = 32


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How labelled pictures become shards."""

    format: str = "auto"
    """auto, labels (labels.tsv or labels.csv) or mjsynth (annotation_*.txt, lexicon.txt)."""
    lists: tuple[str, ...] = ()
    """List files to read, e.g. annotation_train.txt; none: all that the format has."""
    val_share: float = 0.0
    """Share of the pictures, by a hash of their id, that goes to OUT/val, the rest to OUT/train;
    0: no split, all goes to OUT."""
    shuffle_seed: int = 0
    """Seeds the order of the samples over all shards; negative: the order of the lists."""
    part_rows: int = 0
    """Pictures that one task writes; 0: by the size of the source, from 256 to 8192."""
    max_pixels: int = MAX_PIXELS
    """Pictures of more pixels are rejects (too_large)."""
    source_name: str = ""
    """What the source column says; empty: the last component of the source's address."""
    overwrite: bool = False
    """Replace prepared data of another recipe; other files are never touched."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.val_share < 1.0:
            raise ValueError(
                f"--val-share is {self.val_share}; expected at least 0 and less than 1"
            )
        if self.part_rows < 0:
            raise ValueError(f"--part-rows is {self.part_rows}; expected 0 (automatic) or more")
        if self.max_pixels < 1:
            raise ValueError(f"--max-pixels is {self.max_pixels}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a preparation stands; counts are pictures listed, samples and rejects alike."""

    uri: str
    done: int
    total: int
    rejects: int
    rate: float
    """Pictures per second since the first range of this run was done; 0 until it is known."""

    @property
    def left_s(self) -> float:
        """Seconds left at this rate; infinite while the rate is unknown."""
        left = self.total - self.done
        return left / self.rate if self.rate else float("inf") if left else 0.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """One folder of shards that is to be made, or was found complete."""

    source_uri: str
    uri: str
    recipe: Mapping[str, Any]
    listing: pa.Table
    """What goes into it, in the order of the lists."""
    finished: Manifest | None
    """Its manifest, where nothing is left to do."""


def prepare(
    source_uri: str,
    out_uri: str,
    config: PrepareConfig,
    report: Callable[[Progress], None] = lambda _: None,
) -> tuple[Manifest, ...]:
    """Shards of all usable pictures of ``source_uri`` in ``out_uri``; Ray must be initialised.

    Returns one manifest, or two (``train``, ``val``) where ``val_share`` asks for a split.

    Raises:
        DataError: as ``plan`` and ``carry_out`` do.
    """
    return tuple(carry_out(work, report) for work in plan(source_uri, out_uri, config))


def plan(source_uri: str, out_uri: str, config: PrepareConfig) -> tuple[Work, ...]:
    """Read the lists and claim the output; needs no Ray, opens no picture.

    Raises:
        DataError: the source is unusable, or ``out_uri`` holds something else: other files, or
            data of another recipe without ``overwrite``.
    """
    source_uri, out_uri = storage.absolute(source_uri), storage.absolute(out_uri)
    listing = scan(source_uri, format=config.format, lists=config.lists)
    splits = _split(listing.table, config.val_share)
    recipes = {name: _recipe(source_uri, listing, config, name) for name in splits}
    claimed = claim(out_uri, recipes, overwrite=config.overwrite)
    return tuple(
        Work(
            source_uri=source_uri,
            uri=storage.join(out_uri, name),
            recipe=recipes[name],
            listing=table,
            finished=claimed[name],
        )
        for name, table in splits.items()
    )


def carry_out(work: Work, report: Callable[[Progress], None] = lambda _: None) -> Manifest:
    """Do what is left of ``work``, reporting after each range; Ray must be initialised.

    Raises:
        DataError: no picture is usable, or a store fails for good.
    """
    if work.finished is not None:
        return work.finished
    parts = read_parts(work.uri)
    missing = [row for row in ranges(work) if row["part"][0].as_py() not in parts]
    before = sum(parts.values(), Part())
    fresh, pace = Part(), _Pace()
    for name, part in _run(work, missing):
        parts[name] = part
        fresh += part
        rate = pace.after(fresh.total)
        report(_progress(work, before + fresh, rate))
    total = before + fresh
    if not total.count:
        raise DataError(
            f"none of the {total.total} pictures of {work.source_uri} is usable: {total.rejects}; "
            f"see {storage.join(work.uri, 'rejects')}"
        )
    manifest = finish(work.uri, (parts[name] for name in sorted(parts)), work.recipe)
    release(work.uri)
    return manifest


def _progress(work: Work, so_far: Part, rate: float) -> Progress:
    return Progress(
        uri=work.uri,
        done=so_far.total,
        total=work.listing.num_rows,
        rejects=so_far.total - so_far.count,
        rate=rate,
    )


class _Pace:
    """Pictures per second since the first range was done: starting Ray is no measure."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def after(self, count: int) -> float:
        now_s = time.monotonic()
        if self._first is None:
            self._first = (now_s, count)
            return 0.0
        return (count - self._first[1]) / max(now_s - self._first[0], 1e-9)


def _recipe(source_uri: str, listing: Listing, config: PrepareConfig, split: str) -> dict[str, Any]:
    """All that decides the data. The number of rows decides part_rows where it is automatic."""
    least, most = PART_ROWS
    automatic = min(most, max(least, -(-listing.table.num_rows // RANGES_WANTED)))
    bare, _ = storage.split_options(source_uri)
    return {
        "made_by": "prepare",
        "source": bare,
        "source_name": config.source_name or storage.base_name(source_uri),
        "format": listing.format,
        "lists": list(listing.names),
        "listing_digest": listing.digest,
        "val_share": config.val_share,
        "split": split,
        "shuffle_seed": config.shuffle_seed,
        "part_rows": config.part_rows or automatic,
        "max_pixels": config.max_pixels,
    }


def _split(table: pa.Table, val_share: float) -> dict[str, pa.Table]:
    """The listing whole under ``""``, or split by a hash of each id, whatever else is listed."""
    if not val_share:
        return {"": table}
    bound = int(val_share * 2**64)

    def in_val(name: str) -> bool:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < bound

    mask = np.fromiter((in_val(i.as_py()) for i in table["id"]), bool, count=table.num_rows)
    splits = {"train": table.filter(pa.array(~mask)), "val": table.filter(pa.array(mask))}
    for name, rows in splits.items():
        if not rows.num_rows:
            raise DataError(
                f"--val-share {val_share} leaves none of {table.num_rows} pictures in {name}; "
                "choose another share"
            )
    return splits


def ranges(work: Work) -> Iterator[pa.Table]:
    """One row for each range of the listing, in the order of the recipe."""
    seed, rows = int(work.recipe["shuffle_seed"]), int(work.recipe["part_rows"])
    table = work.listing
    if seed >= 0:
        table = table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))
    for number, start in enumerate(range(0, table.num_rows, rows)):
        piece = table.slice(start, rows)
        columns = {
            column: pa.array([piece[column].combine_chunks()], pa.large_list(pa.large_string()))
            for column in table.column_names
        }
        yield pa.table({"part": [f"part-{number:05d}"], **columns})


def _run(work: Work, rows: Sequence[pa.Table]) -> Iterator[tuple[str, Part]]:
    """Parts as their tasks finish them."""
    if not rows:
        return
    task = partial(
        prepare_part,
        source_uri=work.source_uri,
        out_uri=work.uri,
        source_name=work.recipe["source_name"],
        max_pixels=work.recipe["max_pixels"],
    )
    for row in ray.data.from_arrow(list(rows)).map(task).iter_rows():
        if row["error"]:
            raise DataError(row["error"])
        yield row["part"], Part.from_dict(json.loads(row["statistics"]))
