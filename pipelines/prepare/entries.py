"""Items of sources → entries: ids told apart, texts by the rules, each in its split."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from crnn.images.region import Region
from pipelines.keys import KeySet, hashed
from pipelines.prepare.config import PrepareConfig
from pipelines.prepare.drop import Drops
from pipelines.sources import Item, Source
from pipelines.sources.item import with_unicode_name
from pipelines.textrules import LabelError

PAGE_ITEMS = 4096
_MENTIONED = "\0"
"""Before the id of a picture that a list names without making it a sample."""


class Entry(NamedTuple):
    """One line of the listing as a task gets it."""

    id: str
    text: str
    set: int
    """Number of the source."""
    file: str
    """With ``at`` where the picture is; both empty where there is none."""
    at: str
    region: Region | None
    has_picture: bool
    reason: str
    message: str
    source: str
    group: str = ""
    """What it belongs to; empty for itself."""


@dataclass(kw_only=True)
class Altered:
    """Samples whose text lost characters, or has others in their place (--unknown)."""

    samples: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    """How often each of them."""


class Entries:
    """All entries of some sources, page by page, in the order of the sources and their lists."""

    def __init__(
        self,
        sources: Sequence[Source],
        names: Sequence[str],
        config: PrepareConfig,
        drops: Drops | None = None,
    ) -> None:
        self._sources, self._names, self._config = sources, names, config
        self._drops = drops
        self._prefix = config.prefix_ids and len(sources) > 1
        self._rules = config.rules
        self._group = re.compile(config.group_pattern) if config.group_pattern else None
        self._keep_id, self._keep_text = re.compile(config.keep_id), re.compile(config.keep_text)
        self.seen = KeySet()
        """Ids of samples, and pictures that are mentioned besides."""
        self.altered: dict[str, Altered] = defaultdict(Altered)
        """By split."""

    def pages(self) -> Iterator[list[tuple[str, Entry]]]:
        """Splits and entries; none but the first of several with the same id is a sample."""
        for number, source in enumerate(self._sources):
            items = iter(source.items())
            while page := list(map(with_unicode_name, islice(items, PAGE_ITEMS))):
                made = self._once(self._kept(number, page))
                self._count_altered(page, made)
                yield made

    def has(self, number: int, paths: Sequence[str]) -> list[bool]:
        """Whether a list of this source mentions each of these pictures."""
        ids = [self._id(number, path) for path in paths]
        as_samples, besides = hashed(ids), hashed(_MENTIONED + id for id in ids)
        known: list[bool] = (self.seen.has(as_samples) | self.seen.has(besides)).tolist()
        return known

    def _id(self, number: int, id: str) -> str:
        return f"{self._names[number]}/{id}" if self._prefix else id

    def _kept(self, number: int, page: Sequence[Item]) -> list[tuple[str, Entry]]:
        """Entries and their groups; what is dropped is a reject that keeps its picture."""
        entries = [self._entry(number, item) for item in page]
        if self._drops is None:
            return entries
        found = self._drops.of(number, [item.id for item in page])
        return [
            (group, entry)
            if dropped is None or entry.reason
            else (group, entry._replace(text="", reason=dropped.kind, message=dropped.message))
            for (group, entry), dropped in zip(entries, found, strict=True)
        ]

    def _entry(self, number: int, item: Item) -> tuple[str, Entry]:
        """The entry of an item, and its group."""
        reason, message, text = item.reason, item.message, item.text
        id = self._id(number, item.id)
        group, has_group = self._group_of(id, item.group)
        if not reason:
            text, reason, message = self._text(id, item.text)
        if not reason and not has_group:
            reason = "no_group"
            message = f"the id doesn't match --group-pattern {self._config.group_pattern!r}"
        default = self._names[number]
        named = default if self._config.source_name else item.source or default
        place = item.picture if reason != "filtered" else None
        return group, Entry(
            id,
            "" if reason else text,
            number,
            place.file if place else "",
            place.at if place else "",
            item.region,
            place is not None,
            reason,
            message,
            named,
            "" if group == id else group,
        )

    def _group_of(self, id: str, group: str) -> tuple[str, bool]:
        """The group, or the id where there is none; false where the pattern finds none."""
        if self._group is None:
            return group or id, True
        match = self._group.search(id)
        if match is None:
            return id, False
        return (match[1] or match[0]) if match.re.groups else match[0], True

    def _text(self, id: str, label: str) -> tuple[str, str, str]:
        """Text, or reason and message."""
        try:
            text = self._rules.apply(label)
        except LabelError as error:
            return "", error.reason, str(error)
        if not self._keep_id.search(id):
            return "", "filtered", f"the id doesn't match --keep-id {self._config.keep_id!r}"
        if not self._keep_text.search(text):
            message = f"{text!r} doesn't match --keep-text {self._config.keep_text!r}"
            return "", "filtered", message
        if self._config.max_length and len(text) > self._config.max_length:
            return "", "filtered", f"{len(text)} characters; --max-length {self._config.max_length}"
        return text, "", ""

    def _count_altered(self, page: Sequence[Item], made: Sequence[tuple[str, Entry]]) -> None:
        for item, (split, entry) in zip(page, made, strict=True):
            unknown = "" if entry.reason else self._rules.unknown_in(item.text)
            if unknown:
                self.altered[split].samples += 1
                self.altered[split].characters.update(unknown)

    def _once(self, entries: list[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
        new = self.seen.take(hashed(_MENTIONED * bool(e.reason) + e.id for _, e in entries))
        return [
            (
                split_of(group, self._config),
                entry
                if is_new or entry.reason
                else entry._replace(
                    text="", reason="duplicate_id", message="listed before; the first one counts"
                ),
            )
            for (group, entry), is_new in zip(entries, new, strict=True)
        ]


def split_of(group: str, config: PrepareConfig) -> str:
    """The split that a group or an id belongs to, by its hash alone."""
    if not config.val_share and not config.test_share:
        return ""
    digest = hashlib.blake2b(group.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < config.val_share:
        return "val"
    return "test" if place < config.val_share + config.test_share else "train"
