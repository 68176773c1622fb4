"""A preparation from end to end: list, plan, make parts on Ray, sum them up.

A thread of the driver lists the sources and writes plans down; Ray Data moves numbers of chunks.
The driver holds a window of the listing for each split and 16 bytes for each id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import ray

from crnn.errors import DataError
from crnn.files import storage
from pipelines.agenda import Agenda
from pipelines.claim import Hold
from pipelines.ledger import Chunk
from pipelines.manifest import Manifest, Part, finish
from pipelines.output import ANOTHER, begin_anew, claim, read_parts, release
from pipelines.prepare.config import (
    CONFIDENCES,
    FOUND_LATER,
    PrepareConfig,
    recipe,
    source_names,
)
from pipelines.prepare.drop import Drops, read_drops
from pipelines.prepare.entries import PAGE_ITEMS, Altered, Entries
from pipelines.prepare.plan import Planner, Window
from pipelines.prepare.task import PartMaker, PartOutcome, TaskConfig
from pipelines.rejects import rejected
from pipelines.sources import Source, open_source
from pipelines.sources.names import picture_paths
from pipelines.spread import Processes, spread

FIRST_NAMED = 10
"""Pictures without a row, and rows without a picture, that are named."""
FIRST_CHARACTERS = 100
"""Of those that --unknown drops or folds, the most frequent, which a manifest names."""
MISSING = "not_found"
"""Reason of rows that name a picture which isn't there."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a preparation stands; counts are entries, samples and rejects alike."""

    done: int
    total: int
    """As far as is known."""
    listed: bool
    """Whether all is listed, so that ``total`` stays as it is."""
    rejects: int
    """Rejects of this run."""


@dataclass(frozen=True, kw_only=True)
class Unmatched:
    """Names on one side only, of lists and pictures."""

    count: int = 0
    first: tuple[str, ...] = ()
    """At most ``FIRST_NAMED``."""

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.first) else ""
        return f"{self.count:,} ({', '.join(self.first)}{more})" if self.count else "0"


@dataclass(frozen=True, kw_only=True)
class CompletedSet:
    """One folder of shards that is complete."""

    uri: str
    manifest: Manifest
    was_complete: bool
    """Before this run."""
    missing: Unmatched
    """Rows whose picture isn't there."""
    unlabelled: Unmatched
    """Pictures of the sources that no row names."""
    not_dropped: Unmatched
    """Samples to drop that no source has."""


@dataclass(kw_only=True)
class Split:
    """One folder of shards on its way."""

    name: str
    uri: str
    recipe: dict
    planner: Planner
    finished: Manifest | None
    """Its manifest, where nothing is left to do."""


@dataclass(kw_only=True)
class Preparation:
    """A preparation whose arguments were found sound; its sources are being listed."""

    sources: tuple[Source, ...]
    config: PrepareConfig
    splits: tuple[Split, ...]
    hold: Hold
    """Lock on the output until the job is done."""
    agenda: Agenda[Chunk] = field(init=False)
    unlabelled: Unmatched = Unmatched()
    altered: dict[str, Altered] = field(default_factory=dict)
    """By split."""
    drops: Drops | None = None
    """What is left out, where findings were given."""

    @property
    def task(self) -> TaskConfig:
        """What its tasks are told."""
        return TaskConfig(
            sources=self.sources,
            max_pixels=self.config.max_pixels,
            decode_memory_mb=self.config.decode_memory_mb,
            decode_timeout_s=self.config.decode_timeout_s,
        )

    def progress(self, done: int = 0, rejects: int = 0) -> Progress:
        """Progress after this number of entries in this run."""
        before = sum(split.planner.rows_done for split in self.splits)
        total = before + self.agenda.rows
        return Progress(
            done=before + done, total=total, listed=self.agenda.complete, rejects=rejects
        )


def prepare(
    source_uris: str | Sequence[str],
    out_uri: str,
    config: PrepareConfig,
    report: Callable[[Progress], None] = lambda _: None,
) -> tuple[Manifest, ...]:
    """Shards of all usable pictures of the sources in ``out_uri``; Ray must be initialised.

    Returns one manifest, or one for each split that ``config`` asks for.

    Raises:
        DataError, ValueError: as ``begin`` and ``carry_out`` do.
    """
    uris = [source_uris] if isinstance(source_uris, str) else list(source_uris)
    return tuple(made.manifest for made in carry_out(begin(uris, out_uri, config), report))


def begin(source_uris: Sequence[str], out_uri: str, config: PrepareConfig) -> Preparation:
    """Look at the sources, claim the output, and begin to list; needs no Ray, opens no picture.

    Raises:
        DataError: a source is unusable, another job is at work in ``out_uri``, or it holds
            something else: other files, or data of another recipe without ``overwrite``.
        ValueError: for arguments that don't go together.
    """
    sources = tuple(
        open_source(uri, format=config.format, lists=config.lists, options=config.options)
        for uri in source_uris
    )
    names = source_names(config, sources)
    for name in CONFIDENCES:
        if getattr(config, name) and all(source.format != "results" for source in sources):
            raise ValueError(
                f"--{name.replace('_', '-')} is {getattr(config, name)}, but no source is the "
                "results of a bulk job: other labels have no confidence"
            )
    for source in sources:
        if next(source.items(), None) is None:
            lists = ", ".join(filter(None, source.names[:5])) or "pictures"
            raise DataError(f"{source.uri} has no lines ({lists}); expected one for each picture")
    out_uri = storage.absolute(out_uri)
    drops, digest = _drops(config, source_uris)
    recipes = {
        split: recipe(config, sources, split, findings_digest=digest) for split in config.splits
    }
    hold = Hold(out_uri)
    claimed = claim(out_uri, recipes, overwrite=config.overwrite, found_later=FOUND_LATER)
    splits = tuple(
        Split(
            name=name,
            uri=storage.join(out_uri, name),
            recipe=recipes[name],
            planner=_planner(
                storage.join(out_uri, name),
                recipes[name],
                sources,
                done=claimed[name] is not None,
                overwrite=config.overwrite,
            ),
            finished=claimed[name],
        )
        for name in config.splits
    )
    job = Preparation(sources=sources, config=config, splits=splits, hold=hold, drops=drops)
    job.agenda = Agenda([], _windows(job, names))
    return job


def _planner(
    uri: str, recipe: dict, sources: Sequence[Source], *, done: bool, overwrite: bool
) -> Planner:
    in_order = any(source.in_order for source in sources)
    return Planner(uri, recipe, in_order=in_order, done=done, overwrite=overwrite)


def _drops(config: PrepareConfig, source_uris: Sequence[str]) -> tuple[Drops | None, str]:
    if not config.drop:
        return None, ""
    return read_drops(config.drop, config.dropped_kinds, config.leak_side, source_uris)


def carry_out(
    job: Preparation, report: Callable[[Progress], None] = lambda _: None
) -> tuple[CompletedSet, ...]:
    """Do what is left, reporting after each part; Ray must be initialised if there is anything.

    Raises:
        DataError: a split has no usable picture, the sources have changed since it was begun, or
            a store fails for good.
    """
    done, rejects = 0, 0
    with job.hold:
        for outcome in _outcomes(job):
            done += outcome.part.total
            rejects += outcome.part.total - outcome.part.count
            report(job.progress(done, rejects))
        return tuple(_finish(job, split) for split in job.splits)


def _windows(job: Preparation, names: Sequence[str]) -> Iterator[Window]:
    """Windows of all splits as they are written down; runs in the agenda's thread."""
    entries = Entries(job.sources, names, job.config, job.drops)
    yield from _planned(entries, job.splits)
    total = sum(split.planner.listed for split in job.splits)
    for split in job.splits:
        if not split.planner.listed:
            raise DataError(
                f"the shares leave none of {total:,} pictures in {split.name}; choose others, or "
                "a --group-pattern that makes more groups"
            )
    stale = [split for split in job.splits if _is_stale(split, job.config)]
    if stale:
        for split in stale:
            _begin_anew(job, split)
        entries = Entries(job.sources, names, job.config, job.drops)
        yield from _planned(entries, stale)
    job.altered = dict(entries.altered)
    if any(split.finished is None for split in job.splits):
        job.unlabelled = _unlabelled(job, entries)


def _planned(entries: Entries, splits: Sequence[Split]) -> Iterator[Window]:
    """Windows of these splits, of all entries."""
    for page in entries.pages():
        for split in splits:
            yield from split.planner.add([entry for name, entry in page if name == split.name])
    for split in splits:
        yield from split.planner.end()


def _is_stale(split: Split, config: PrepareConfig) -> bool:
    """Whether it is complete, of another listing, and to be replaced; DataError if it stays."""
    listed = split.finished and split.finished.recipe.get("listing_digest")
    if not listed or split.planner.has_digest(listed):
        return False
    if not config.overwrite:
        raise DataError(
            f"{split.uri} holds data made of another listing: listing_digest {listed[:12]}… "
            f"there, {split.planner.digest[:12]}… here; {ANOTHER}"
        )
    return True


def _begin_anew(job: Preparation, split: Split) -> None:
    begin_anew(split.uri, split.recipe)
    split.finished = None
    split.planner = _planner(split.uri, split.recipe, job.sources, done=False, overwrite=True)


def _unlabelled(job: Preparation, entries: Entries) -> Unmatched:
    """Pictures below the sources that none of their lists names; where it was asked for some
    lists only, nobody expects all pictures in them.
    """
    count = 0
    first: list[str] = []
    for number, source in enumerate(job.sources):
        if job.config.lists or not source.names_pictures:
            continue
        paths = picture_paths(source.uri)
        while page := list(islice(paths, PAGE_ITEMS)):
            named = entries.has(number, page)
            lonely = [path for path, is_named in zip(page, named, strict=True) if not is_named]
            count += len(lonely)
            first += lonely[: FIRST_NAMED - len(first)]
    return Unmatched(count=count, first=tuple(first))


def _outcomes(job: Preparation) -> Iterator[PartOutcome]:
    config_ref: ray.ObjectRef | None = None
    processes = Processes(most=job.config.workers)
    while True:
        ready = job.agenda.wait()
        window = job.agenda.take()
        if window:
            config_ref = config_ref or ray.put(job.task)
            yield from spread(PartMaker, config_ref, window, processes)
        elif ready:
            return


def _finish(job: Preparation, split: Split) -> CompletedSet:
    manifest = split.finished
    if manifest is None:
        manifest = _summed(job, split)
        release(split.uri)
    return CompletedSet(
        uri=split.uri,
        manifest=manifest,
        was_complete=split.finished is not None,
        missing=missing_of(split.uri, manifest.rejects),
        unlabelled=_noted(manifest, "unlabelled"),
        not_dropped=_noted(manifest, "not_dropped"),
    )


def _noted(manifest: Manifest, key: str) -> Unmatched:
    found = manifest.recipe.get(key) or {}
    return Unmatched(count=found.get("count", 0), first=tuple(found.get("first", ())))


def _summed(job: Preparation, split: Split) -> Manifest:
    """The manifest of a split whose parts are all done, written."""
    parts = read_parts(split.uri)
    if len(parts) != split.planner.parts:
        raise DataError(
            f"{split.uri} has {len(parts)} parts of the {split.planner.parts} that were made: "
            "another job was at work there; wait until it ends and run this one again"
        )
    total = sum(parts.values(), Part())
    if not total.count:
        missing = missing_of(split.uri, total.rejects)
        raise DataError(
            f"none of the {total.total} pictures of {split.uri} is usable: {total.rejects}; see "
            f"{storage.join(split.uri, 'rejects')}. Rows whose picture isn't there: {missing}; "
            f"pictures without a row: {job.unlabelled}"
        )
    found = {
        "listing_digest": split.planner.digest,
        "unlabelled": {"count": job.unlabelled.count, "first": list(job.unlabelled.first)},
    }
    if job.config.unknown != "reject":
        altered = job.altered.get(split.name, Altered())
        often = sorted(altered.characters.items(), key=lambda one: (-one[1], one[0]))
        found["unknown_characters"] = {
            "samples": altered.samples,
            "kinds": len(often),
            "characters": dict(often[:FIRST_CHARACTERS]),
        }
    if job.drops is not None:
        count, first = job.drops.not_met(FIRST_NAMED)
        found["not_dropped"] = {"count": count, "first": first}
    return finish(split.uri, (parts[name] for name in sorted(parts)), {**split.recipe, **found})


def missing_of(uri: str, rejects: dict[str, int]) -> Unmatched:
    """Rows of a folder of shards whose picture wasn't there; the first of them by name."""
    count = rejects.get(MISSING, 0)
    missing = (id for id, reason, _ in rejected(uri) if reason == MISSING)
    return Unmatched(count=count, first=tuple(islice(missing, FIRST_NAMED)) if count else ())
