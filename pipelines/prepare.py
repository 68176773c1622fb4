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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from crnn import storage
from crnn.errors import CrnnError, DataError, PictureError
from crnn.image import MAX_PIXELS, decode_picture
from pipelines.output import claim, part_address, read_parts, release
from pipelines.shards import (
    ROW_GROUP_BYTES,
    Manifest,
    Part,
    Reject,
    Sample,
    ShardWriter,
    finish,
)
from pipelines.sources import Listing, scan

TASK_SECONDS_HINT_ROWS = (256, 8192)
"""Least and most pictures in one range: a task's start costs as much as some 100 pictures."""
RANGES_WANTED = 32
READ_AHEAD = 256
"""Pictures of a task that are held in memory at once, beside its open row group."""
REMOTE_READERS = 16
"""Concurrent requests of one task to an object store."""


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
    """Pictures per second since this run began; 0 before the first part."""

    @property
    def left_s(self) -> float:
        """Seconds left at this rate."""
        return (self.total - self.done) / self.rate if self.rate else float("inf")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One folder of shards that is complete."""

    uri: str
    manifest: Manifest
    already: bool
    """It was complete before, and nothing was done."""


def prepare(
    source_uri: str,
    out_uri: str,
    config: PrepareConfig,
    report: Callable[[Progress], None] = lambda _: None,
) -> tuple[Prepared, ...]:
    """Shards of all usable pictures of ``source_uri`` in ``out_uri``; Ray must be initialised.

    Returns one entry, or two (``train``, ``val``) where ``val_share`` asks for a split.

    Raises:
        DataError: the source is unusable, no picture of it is, or ``out_uri`` holds something
            else: other files, or data of another recipe without ``overwrite``.
    """
    listing = scan(source_uri, format=config.format, lists=config.lists)
    in_val = _in_val(listing.table["id"], config.val_share)
    splits = {"": listing.table}
    if config.val_share:
        splits = {
            "train": listing.table.filter(pa.array(~in_val)),
            "val": listing.table.filter(pa.array(in_val)),
        }
    for name, table in splits.items():
        if not table.num_rows:
            raise DataError(
                f"--val-share {config.val_share} leaves none of {listing.table.num_rows} pictures "
                f"in {name}; choose another share"
            )
    recipes = {name: _recipe(source_uri, listing, config, name) for name in splits}
    claimed = claim(out_uri, recipes, overwrite=config.overwrite)
    return tuple(
        Prepared(uri=uri, manifest=found, already=True)
        if (found := claimed[name]) is not None
        else _prepare_one(source_uri, uri, splits[name], recipes[name], report)
        for name, uri in ((name, storage.join(out_uri, name)) for name in splits)
    )


def _recipe(source_uri: str, listing: Listing, config: PrepareConfig, split: str) -> dict[str, Any]:
    """All that decides the data. The number of rows decides part_rows where it is automatic."""
    least, most = TASK_SECONDS_HINT_ROWS
    automatic = min(most, max(least, -(-listing.table.num_rows // RANGES_WANTED)))
    bare, _ = storage.split_options(source_uri)
    return {
        "made_by": "prepare",
        "source": storage.resolve(source_uri)[1] if storage.is_local(source_uri) else bare,
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


def _in_val(ids: pa.ChunkedArray, share: float) -> np.ndarray:
    """For each id whether a hash of it falls into the share: independent of all other ids."""
    bound = int(share * 2**64)

    def falls(name: str) -> bool:
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < bound

    return np.fromiter((falls(i.as_py()) for i in ids), dtype=bool, count=len(ids))


def _prepare_one(
    source_uri: str,
    uri: str,
    table: pa.Table,
    recipe: Mapping[str, Any],
    report: Callable[[Progress], None],
) -> Prepared:
    parts = read_parts(uri)
    missing = [row for row in _ranges(table, recipe) if row["part"][0].as_py() not in parts]
    done = sum(part.total for part in parts.values())
    rejects = sum(sum(part.rejects.values()) for part in parts.values())
    fresh, began = 0, time.monotonic()
    for name, part in _run(source_uri, uri, missing, recipe):
        parts[name] = part
        fresh += part.total
        rejects += sum(part.rejects.values())
        rate = fresh / max(time.monotonic() - began, 1e-9)
        total = table.num_rows
        report(Progress(uri=uri, done=done + fresh, total=total, rejects=rejects, rate=rate))
    if not any(part.count for part in parts.values()):
        reasons = sum(parts.values(), Part()).rejects
        raise DataError(
            f"none of the {table.num_rows} pictures of {source_uri} is usable: {reasons}; "
            f"see {storage.join(uri, 'rejects')}"
        )
    manifest = finish(uri, (parts[name] for name in sorted(parts)), recipe)
    release(uri)
    return Prepared(uri=uri, manifest=manifest, already=False)


def _ranges(table: pa.Table, recipe: Mapping[str, Any]) -> Iterator[pa.Table]:
    """One row for each range of the listing, in the order of the recipe."""
    seed, rows = int(recipe["shuffle_seed"]), int(recipe["part_rows"])
    if seed >= 0:
        order = np.random.default_rng(seed).permutation(table.num_rows)
        table = table.take(pa.array(order))
    for number, start in enumerate(range(0, table.num_rows, rows)):
        piece = table.slice(start, rows)
        columns = {
            column: pa.array([piece[column].combine_chunks()], pa.large_list(pa.large_string()))
            for column in table.column_names
        }
        yield pa.table({"part": [f"part-{number:05d}"], **columns})


def _run(
    source_uri: str, uri: str, ranges: Sequence[pa.Table], recipe: Mapping[str, Any]
) -> Iterator[tuple[str, Part]]:
    """Parts as their tasks finish them."""
    if not ranges:
        return
    settings = {
        "source_uri": source_uri,
        "out_uri": uri,
        "source_name": recipe["source_name"],
        "max_pixels": recipe["max_pixels"],
    }
    rows = ray.data.from_arrow(list(ranges)).map(prepare_part, fn_kwargs=settings)
    for row in rows.iter_rows():
        if row["error"]:
            raise DataError(row["error"])
        yield row["part"], Part.from_dict(json.loads(row["statistics"]))


def prepare_part(
    row: Mapping[str, Any], *, source_uri: str, out_uri: str, source_name: str, max_pixels: int
) -> dict[str, str]:
    """The task: one range of the listing → its shards, its rejects, then its part file.

    Returns ``part`` (its name), ``statistics`` (``Part`` as JSON) and ``error`` (empty, or why
    the whole job can't go on).
    """
    name = str(row["part"])
    entries = zip(row["id"], row["text"], row["reason"], row["message"], strict=True)
    try:
        with ShardWriter(out_uri, name) as writer:
            for sample, reject in _read(list(entries), source_uri, source_name, max_pixels):
                if sample is not None:
                    writer.write([sample])
                elif reject is not None:
                    writer.reject([reject])
        statistics = writer.close().to_json()
        storage.write_bytes(part_address(out_uri, name), statistics.encode())
    except (CrnnError, OSError) as error:
        return {"part": name, "statistics": "", "error": f"{name}: {error}"}
    return {"part": name, "statistics": statistics, "error": ""}


def _read(
    entries: Sequence[tuple[str, str, str, str]], source_uri: str, source_name: str, max_pixels: int
) -> Iterator[tuple[Sample | None, Reject | None]]:
    """Each entry as a sample or a reject, in order; pictures are read ahead by a few threads."""

    def one(entry: tuple[str, str, str, str]) -> tuple[Sample | None, Reject | None]:
        name, text, reason, message = (str(value) for value in entry)
        try:
            if reason:
                raise PictureError(reason, message)
            return read_sample(source_uri, name, text, source_name, max_pixels), None
        except PictureError as error:
            message = str(error)
            return None, Reject(id=name, reason=error.reason, message=message, source=source_name)

    if storage.is_local(source_uri):
        yield from map(one, entries)
        return
    with ThreadPoolExecutor(REMOTE_READERS) as readers:
        for start in range(0, len(entries), READ_AHEAD):
            yield from readers.map(one, entries[start : start + READ_AHEAD])


def read_sample(source_uri: str, name: str, text: str, source: str, max_pixels: int) -> Sample:
    """The picture ``name`` of the source, proven to decode.

    Raises:
        PictureError: with the reason to reject it.
        DataError: when an object store fails for good: that says nothing of the picture.
    """
    address = storage.join(source_uri, name)
    try:
        data = storage.read_bytes(address)
    except FileNotFoundError:
        raise PictureError("missing_file", f"there is no {address}") from None
    except DataError as error:
        if storage.is_local(source_uri):
            raise PictureError("unreadable_file", str(error)) from error
        raise
    if len(data) > ROW_GROUP_BYTES:
        raise PictureError("too_large", f"{len(data)} bytes; expected at most {ROW_GROUP_BYTES}")
    image = decode_picture(data, max_pixels=max_pixels)
    return Sample(
        id=name, image=data, text=text, width=image.width, height=image.height, source=source
    )
