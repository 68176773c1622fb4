"""Some labelled pictures, for jobs that look at a recognizer here, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from crnn.errors import DataError
from crnn.files import storage
from pipelines.shards import MANIFEST_NAME, load_manifest, read_row_group
from pipelines.stores import files_at, is_picture_name

Sample = tuple[bytes, str]
"""An encoded picture and its text."""


def from_sets(addresses: Sequence[str], count: int) -> Iterator[Sample]:
    """Up to ``count`` samples, equally many from the beginning of each prepared set.

    Raises:
        DataError: when a set is missing, unfinished or damaged.
    """
    share = -(-count // len(addresses))
    return islice(chain.from_iterable(islice(_of_set(a), share) for a in addresses), count)


def _of_set(address: str) -> Iterator[Sample]:
    for shard in load_manifest(address).shards:
        for index in range(len(shard.row_groups)):
            rows = read_row_group(address, shard.name, index, ["image", "text"])
            yield from zip(rows["image"].to_pylist(), rows["text"].to_pylist(), strict=True)


def rendered(characters: str, count: int) -> Iterator[Sample]:
    """``count`` samples of texts of these characters.

    Raises:
        DataError: when no font of this machine has them.
    """
    from pipelines.render.synth import RenderConfig, chosen_fonts, render_samples

    config = RenderConfig(count=count, charset=characters, fonts="all")
    try:
        fonts = chosen_fonts(config, system=True)
    except DataError as error:
        raise DataError(f"{error}; or give pictures of your own (--data, --proof)") from error
    return ((s["image"], s["text"]) for s in render_samples(config, fonts, 0, count))


def pictures_at(addresses: Sequence[str], count: int) -> list[tuple[str, bytes]]:
    """Name and bytes of up to ``count`` pictures, equally many of each folder or prepared set.

    Those of a folder are spread evenly over its names in order.

    Raises:
        DataError: when there is no picture, or a set is unfinished or damaged.
    """
    share = -(-count // len(addresses))
    found = [picture for address in addresses for picture in _some_of(address, share)]
    if not found:
        raise DataError(f"there are no pictures at {list(addresses)}; give folders of pictures")
    return found[:count]


def _some_of(address: str, count: int) -> list[tuple[str, bytes]]:
    if storage.exists(storage.join(address, MANIFEST_NAME)):
        samples = from_sets([address], count)
        return [(f"{address}#{number}", data) for number, (data, _) in enumerate(samples)]
    names = sorted(row["uri"] for row in files_at(address) if is_picture_name(row["uri"]))
    chosen = [names[len(names) * n // count] for n in range(count)] if len(names) > count else names
    return [(name, storage.read_bytes(name)) for name in chosen]
