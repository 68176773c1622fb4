"""Labelled pictures of a folder in memory, for the benchmarks that measure accuracy."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from crnn.text.metrics import alnum_form
from pipelines.holdout import is_held_out
from pipelines.sources import open_source

SEED = 0


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """Pictures with their texts; only those whose text has a letter or digit."""

    name: str
    lines: bool
    """Whether they show lines rather than words."""
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    pictures: tuple[bytes, ...]
    """Encoded."""
    total: int
    """How many the whole set has."""

    @property
    def key(self) -> str:
        """The same for the same pictures and labels only."""
        digest = hashlib.sha256(b"lines" if self.lines else b"words")
        for label, picture in zip(self.labels, self.pictures, strict=True):
            digest.update(hashlib.sha256(picture).digest() + label.encode() + b"\0")
        return f"{self.name}, {len(self.labels)} of {self.total}, {digest.hexdigest()[:16]}"


def half_of(set_name: str, picture_id: str) -> str:
    """ "a" or "b", by a hash: what is chosen by one half of a set is quoted of the other."""
    return "a" if is_held_out(f"{set_name}/{picture_id}", 0.5) else "b"


def labelled_set(folder: str, *, lines: bool, limit: int = 0, half: str = "") -> LabelledSet:
    """The set in ``folder``, or a half of it, or ``limit`` pictures, drawn with a fixed seed."""
    source, name = open_source(folder), Path(folder).name
    items = [item for item in source.items() if item.picture and alnum_form(item.text)]
    total = len(items)
    items = [item for item in items if not half or half_of(name, item.id) == half]
    if 0 < limit < len(items):
        items = random.Random(SEED).sample(items, limit)
    read = zip(items, source.read(items), strict=True)
    found = [(item, data) for item, data in read if isinstance(data, bytes)]
    return LabelledSet(
        name=name,
        lines=lines,
        ids=tuple(item.id for item, _ in found),
        labels=tuple(item.text for item, _ in found),
        pictures=tuple(data for _, data in found),
        total=total,
    )
