"""The choices of a preparation, and what of them decides the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from crnn.files import storage
from crnn.images.contract import MAX_PIXELS
from pipelines.inspection.kinds import Side, check_kinds
from pipelines.output import SPLITS
from pipelines.sources import Source, SourceOptions
from pipelines.textrules import TextRules

FOUND_LATER = ("listing_digest", "unlabelled", "not_dropped", "unknown_characters")
"""Keys of the recipe that only the whole listing tells."""
CONFIDENCES = ("min_confidence", "min_character_confidence")
"""Bounds that only the results of bulk jobs can be held to."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(SourceOptions, TextRules):
    """How labelled pictures become shards."""

    format: str = "auto"
    """auto, labels, label-studio, pairs, names, mjsynth, icdar, scene, lmdb, webdataset,
    parquet, pages, prepared or results."""
    lists: tuple[str, ...] = ()
    """List files to read, e.g. annotation_train.txt; default: all lists of the format."""
    source_name: tuple[str, ...] = ()
    """Names for the column source, one for each SOURCE; default: the last part of its address, or
    the name that a prepared set already has."""
    prefix_ids: bool = True
    """With several SOURCEs, prefix ids with the name of their source, so that they stay unique."""
    val_share: float = 0.0
    """Share of the samples, by a hash of their group or id, that goes to OUT/val; the rest goes to
    OUT/train. Without shares everything goes to OUT."""
    test_share: float = 0.0
    """Share of the samples that goes to OUT/test, in the same way."""
    group_pattern: str = ""
    """Regular expression to search in the id; samples with the same match, or the same first group
    of it, stay in one split, e.g. '(\\d+)_\\d+\\.jpg$' for the lines of a receipt."""
    keep_id: str = ""
    """Regular expression to search in ids; samples without a match become rejects (filtered)."""
    keep_text: str = ""
    """Regular expression to search in texts; samples without a match become rejects (filtered)."""
    max_length: int = 0
    """Maximum length of a text, characters; longer ones become rejects (filtered); 0: no limit."""
    drop: str = ""
    """findings.parquet of crnn inspect, or its folder: samples with the findings of --kinds become
    rejects, with the kind as their reason."""
    kinds: tuple[str, ...] = ()
    """Kinds of findings to drop, e.g. copy,leak; docs/findings.md has them all."""
    leak_side: Side = "training"
    """Which samples of leaks to drop: those of the set that was named earlier to crnn inspect
    (training), or those of the later one (measuring)."""
    shuffle_seed: int = 0
    """Seed for shuffling the samples, within windows of up to 65,536; negative: keep the order of
    the lists. Samples inside larger files always keep their order."""
    part_rows: int = 0
    """Pictures for each task; 0: 256 at first, then more, up to 8192."""
    max_pixels: int = MAX_PIXELS
    """Maximum size of a picture, pixels; larger ones become rejects (too_large)."""
    decode_memory_mb: int = 2048
    """Memory limit for decoding a picture, MiB; one that needs more becomes a reject."""
    decode_timeout_s: float = 30.0
    """Time limit for decoding a picture, seconds; a slower one becomes a reject."""
    workers: int = 0
    """Maximum number of tasks at a time; 0: one for each CPU."""
    overwrite: bool = False
    """Replace data that was prepared with other settings or of another listing; other files are
    never touched."""

    def __post_init__(self) -> None:
        TextRules.__post_init__(self)
        for name in ("val_share", "test_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; "
                    "expected at least 0 and less than 1"
                )
        if self.val_share + self.test_share >= 1.0:
            raise ValueError(
                f"--val-share {self.val_share} and --test-share {self.test_share} leave nothing "
                "to train on; expected a sum of less than 1"
            )
        for name in CONFIDENCES:
            if not 0 <= getattr(self, name) <= 1:
                flag = f"--{name.replace('_', '-')}"
                raise ValueError(f"{flag} is {getattr(self, name)}; expected 0 to 1")
        self._check_counts()
        for name in ("group_pattern", "keep_id", "keep_text"):
            _check_pattern(f"--{name.replace('_', '-')}", getattr(self, name))
        check_kinds(self.dropped_kinds)
        if self.kinds and not self.drop:
            raise ValueError("--kinds needs --drop findings.parquet")

    def _check_counts(self) -> None:
        for name, least in (("part_rows", 0), ("max_length", 0), ("workers", 0), ("max_pixels", 1)):
            if getattr(self, name) < least:
                flag, value = f"--{name.replace('_', '-')}", getattr(self, name)
                raise ValueError(f"{flag} is {value}; expected at least {least}")
        if self.max_pixels > MAX_PIXELS:
            raise ValueError(f"--max-pixels is {self.max_pixels}; expected at most {MAX_PIXELS}")
        if self.decode_memory_mb < 256:
            raise ValueError(f"--decode-memory-mb is {self.decode_memory_mb}; expected 256 or more")
        if not self.decode_timeout_s > 0:
            raise ValueError(f"--decode-timeout-s is {self.decode_timeout_s}; expected above 0")

    @property
    def dropped_kinds(self) -> tuple[str, ...]:
        """``kinds``, also where commas stand between them."""
        return tuple(kind for some in self.kinds for kind in some.split(",") if kind)

    @property
    def rules(self) -> TextRules:
        """The text rules alone."""
        return TextRules(**{field.name: getattr(self, field.name) for field in fields(TextRules)})

    @property
    def options(self) -> SourceOptions:
        """What is said of the sources."""
        known = fields(SourceOptions)
        return SourceOptions(**{field.name: getattr(self, field.name) for field in known})

    @property
    def splits(self) -> tuple[str, ...]:
        """Folders below OUT; one without a name where nothing is split."""
        shares = {"train": 1.0, "val": self.val_share, "test": self.test_share}
        return tuple(s for s in SPLITS if shares[s]) if self.val_share or self.test_share else ("",)


def source_names(config: PrepareConfig, sources: Sequence[Source]) -> tuple[str, ...]:
    """What each source is called, in the source column and before its ids.

    Raises:
        ValueError: when there are more or fewer names than sources, or two are the same.
    """
    names = config.source_name or tuple(storage.base_name(source.uri) for source in sources)
    if len(names) != len(sources):
        raise ValueError(
            f"--source-name gives {len(names)} names for {len(sources)} sources; expected one each"
        )
    if config.prefix_ids and len(set(names)) < len(names):
        raise ValueError(
            f"the sources are called {', '.join(names)}; give them distinct names with "
            "--source-name, or keep their ids as they are with --no-prefix-ids"
        )
    return names


def recipe(
    config: PrepareConfig, sources: Sequence[Source], split: str, *, findings_digest: str = ""
) -> dict[str, Any]:
    """All that decides the data of a split, but for what the sources hold."""
    dropped = {
        "findings": findings_digest,
        "kinds": list(config.dropped_kinds),
        "leak_side": config.leak_side,
    }
    return {
        **({"drop": dropped} if config.drop else {}),
        "made_by": "prepare",
        "sources": [
            {
                "uri": storage.split_options(source.uri)[0],
                "name": name,
                "format": source.format,
                "lists": [] if source.format in ("prepared", "results") else list(source.names),
            }
            for source, name in zip(sources, source_names(config, sources), strict=True)
        ],
        "named": bool(config.source_name),
        "prefix_ids": config.prefix_ids and len(sources) > 1,
        "options": {
            name: value
            for name, value in asdict(config.options).items()
            if name not in CONFIDENCES or value  # which older recipes don't have
        },
        "text": config.rules.recipe(),
        "keep": {name: getattr(config, name) for name in ("keep_id", "keep_text", "max_length")},
        "split": split,
        "val_share": config.val_share,
        "test_share": config.test_share,
        "group_pattern": config.group_pattern,
        "shuffle_seed": config.shuffle_seed,
        "part_rows": config.part_rows,
        "max_pixels": config.max_pixels,
    }


def _check_pattern(flag: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{flag} {pattern!r} isn't a regular expression: {error}") from error
