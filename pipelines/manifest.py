"""What a folder of shards holds: ``manifest.json``, written last, and the parts it is summed from.

A folder without a manifest is unfinished. Each writer (one task, one range of the input) leaves
a ``Part``; parts add up to the ``Manifest``.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from crnn.brief import brief
from crnn.errors import DataError
from crnn.files import storage
from pipelines.rejects import of_today

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One Parquet file of samples."""

    name: str
    """Relative to the folder of the manifest."""
    rows: int
    row_groups: tuple[int, ...]
    """Rows in each row group."""
    bytes: int
    """Size of the file."""
    digest: str = ""
    """sha256 over the ids, texts, pictures and groups of its rows, in order."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ShardEntry:
        """The entry that ``dataclasses.asdict`` and JSON made these values of."""
        return cls(**{**values, "row_groups": tuple(values["row_groups"])})


@dataclass(frozen=True, kw_only=True)
class Part:
    """Shards and sums of one writer; parts add up with ``+``."""

    count: int = 0
    characters: dict[str, int] = field(default_factory=dict)
    length_histogram: dict[int, int] = field(default_factory=dict)
    width_histogram: dict[int, int] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    shards: tuple[ShardEntry, ...] = ()

    def __add__(self, other: Part) -> Part:
        return Part(
            count=self.count + other.count,
            characters=_summed(self.characters, other.characters),
            length_histogram=_summed(self.length_histogram, other.length_histogram),
            width_histogram=_summed(self.width_histogram, other.width_histogram),
            rejects=_summed(self.rejects, other.rejects),
            shards=self.shards + other.shards,
        )

    @property
    def total(self) -> int:
        """Inputs seen: samples and rejects."""
        return self.count + sum(self.rejects.values())

    def to_json(self) -> str:
        """One line of JSON that ``from_dict`` reads back."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Part:
        """The part whose ``to_json`` holds ``values``."""
        return cls(
            count=int(values["count"]),
            characters=dict(values["characters"]),
            length_histogram=_int_keys(values["length_histogram"]),
            width_histogram=_int_keys(values["width_histogram"]),
            rejects=_of_today(values["rejects"]),
            shards=tuple(ShardEntry.from_dict(entry) for entry in values["shards"]),
        )


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of a finished folder of shards."""

    version: int
    count: int
    """Samples in all shards."""
    characters: dict[str, int]
    """How often each character occurs in the texts (NFC), in code point order."""
    length_histogram: dict[int, int]
    """Samples by number of characters."""
    width_histogram: dict[int, int]
    """Samples by natural width in px at 32 px height, rounded up to a multiple of 32."""
    rejects: dict[str, int]
    """Inputs set aside, by reason; the rows lie in ``rejects/*.parquet``."""
    shards: tuple[ShardEntry, ...]
    recipe: dict[str, Any]
    """How it was made: equal recipes give equal data."""
    digest: str
    """Identity of the data: sha256 over the digests of the shards; not of where they lie."""


def finish(uri: str, parts: Iterable[Part], recipe: Mapping[str, Any]) -> Manifest:
    """Sum ``parts`` and write the manifest of ``uri``; call it when every shard is in place."""
    total = reduce(Part.__add__, parts, Part())
    shards = tuple(sorted(total.shards, key=lambda shard: shard.name))
    digest = hashlib.sha256("".join(f"{s.name} {s.digest}\n" for s in shards).encode()).hexdigest()
    manifest = Manifest(
        version=MANIFEST_VERSION,
        count=total.count,
        characters=dict(sorted(total.characters.items())),
        length_histogram=dict(sorted(total.length_histogram.items())),
        width_histogram=dict(sorted(total.width_histogram.items())),
        rejects=dict(sorted(total.rejects.items())),
        shards=shards,
        recipe=dict(recipe),
        digest=digest,
    )
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
    storage.write_bytes(storage.join(uri, MANIFEST_NAME), text.encode())
    return manifest


def load_manifest(uri: str) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        DataError: the folder is missing, empty or unfinished, or the manifest is damaged or of
            another version.
    """
    address = storage.join(uri, MANIFEST_NAME)
    try:
        values = json.loads(storage.read_bytes(address))
        version = values["version"]
    except FileNotFoundError:
        raise DataError(_why_no_manifest(uri)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{address} is damaged ({brief(error)}); prepare the data again") from error
    if version != MANIFEST_VERSION:
        raise DataError(
            f"{address} has format version {version!r}; expected {MANIFEST_VERSION}; "
            "prepare the data again with this version"
        )
    try:
        part = Part.from_dict(values)
        return Manifest(
            version=version, recipe=values["recipe"], digest=values["digest"], **vars(part)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{address} is damaged ({brief(error)}); prepare the data again") from error


def _why_no_manifest(uri: str) -> str:
    if not storage.exists(uri):
        return f"there is no {uri}; expected a folder of shards that jobs/prepare.py made"
    if storage.is_file(uri):
        return (
            f"{uri} is a file; expected a folder of shards, which "
            f"python jobs/prepare.py {shlex.quote(uri)} OUT makes of labelled pictures"
        )
    names = {info.uri for info in storage.list_files(uri, recursive=True)}
    if not names:
        return f"{uri} is empty; expected a folder of shards that jobs/prepare.py made"
    below = sorted({name.rpartition("/")[0].rpartition("/")[2] for name in names
                    if storage.resolve(name)[1].endswith("/" + MANIFEST_NAME)})  # fmt: skip
    if below:
        return f"{uri} has no {MANIFEST_NAME} itself, but its folders {below} have; name one"
    return (
        f"{uri} has no {MANIFEST_NAME}, so it is unfinished or not made of shards; run the job "
        "that writes it to its end (jobs/prepare.py continues where it stopped)"
    )


def _summed(a: Mapping[Any, int], b: Mapping[Any, int]) -> dict[Any, int]:
    counts = Counter(a)
    counts.update(b)
    return dict(counts)


def _of_today(rejects: Mapping[str, int]) -> dict[str, int]:
    counts = Counter[str]()
    for reason, count in rejects.items():
        counts[of_today(reason)] += count
    return dict(counts)


def _int_keys(values: Mapping[str, int]) -> dict[int, int]:
    return {int(key): int(value) for key, value in values.items()}
