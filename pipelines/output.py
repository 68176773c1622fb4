"""Who may write a folder of shards: its recipe is laid down first, so that a rerun can tell.

``_parts/`` lives while the folder is unfinished: ``recipe.json``, then one ``part-*.json`` for each
part that is done, and anything else its job notes. The finished folder has its recipe in the
manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crnn.errors import DataError
from crnn.files import storage
from pipelines.claim import differences, lay_down, other_settings, recipe_at, refuse_lively
from pipelines.manifest import MANIFEST_NAME, Manifest, Part, load_manifest
from pipelines.owned import delete_ours

PARTS_NAME = "_parts"
SPLITS = ("train", "val", "test")
"""Folders of split data, below the folder of all."""
ANOTHER = "choose another folder, or --overwrite to replace it"
"""What to do about data of other settings."""
_RECIPE_NAME = "recipe.json"
_READERS = 16
_PARTS = re.compile(rf"{PARTS_NAME}/(recipe\.json|plan-\d+\.parquet|part-\d+\.json)")
_LEFTOVERS = re.compile(r"(.*/)?\.[0-9a-f]{32}\.tmp")
"""What a process that was killed has left of a file."""
_OURS = re.compile(
    rf"{MANIFEST_NAME}|part-\d+-\d+\.parquet|rejects/part-\d+\.parquet|"
    rf"{_PARTS.pattern}|{_LEFTOVERS.pattern}"
)
"""Paths in a folder of shards; anything else there is never deleted."""


def claim(
    out_uri: str,
    recipes: Mapping[str, Mapping[str, Any]],
    *,
    overwrite: bool,
    found_later: Collection[str] = (),
) -> dict[str, Manifest | None]:
    """Make the folders ``out_uri/<name>`` ours, each for its recipe; nothing changes on an error.

    Returns for each name its manifest where the folder is complete already, else None: then
    ``_parts/`` stands ready, perhaps with parts of an earlier run. ``found_later`` are keys of the
    recipe that a manifest may have besides, as they aren't known before the work.

    Raises:
        DataError: a folder holds other files, or data of another recipe and not ``overwrite``, or
            on an object store another job may be at work there.
    """
    _refuse_other_layout(out_uri, recipes)
    found: dict[str, Manifest | None] = {}
    stale: list[str] = []
    for name, recipe in recipes.items():
        uri = storage.join(out_uri, name)
        differing = _differing(uri, recipe, found_later)
        if differing and not overwrite:
            raise DataError(other_settings(uri, differing, ANOTHER))
        if differing:
            stale.append(uri)
        found[name] = None if differing else _finished(uri)
    for uri in stale:
        if not storage.exists(storage.join(uri, MANIFEST_NAME)):
            refuse_lively(uri)
    for uri in stale:
        _clear(uri)
    for name, recipe in recipes.items():
        if found[name] is None:
            _begin(storage.join(out_uri, name), recipe)
    return found


def part_address(uri: str, name: str) -> str:
    """Where the statistics of a finished part lie."""
    return storage.join(uri, PARTS_NAME, f"{name}.json")


def read_parts(uri: str) -> dict[str, Part]:
    """The parts that are done, by name."""
    infos = storage.list_files(storage.join(uri, PARTS_NAME), suffix=".json")
    addresses = {storage.base_name(info.uri).removesuffix(".json"): info.uri for info in infos}
    addresses.pop(_RECIPE_NAME.removesuffix(".json"), None)
    with ThreadPoolExecutor(_READERS) as readers:
        contents = readers.map(storage.read_bytes, addresses.values())
        return {n: Part.from_dict(json.loads(c)) for n, c in zip(addresses, contents, strict=True)}


def release(uri: str) -> None:
    """Remove what only an unfinished folder needs; call it when the manifest is written."""
    delete_ours(uri, _PARTS)


def delete_from(uri: str, part: int, plan: int) -> None:
    """Remove the plans and the parts with these numbers and higher ones from an unfinished folder.

    The markers of finished parts are deleted first.
    """
    numbered = re.compile(rf"({PARTS_NAME}|rejects)?/?(plan|part)-(\d+)(-\d+)?\.(json|parquet)")
    start = len(storage.resolve(uri)[1].rstrip("/")) + 1
    paths = [storage.resolve(i.uri)[1][start:] for i in storage.list_files(uri, recursive=True)]
    later = []
    for path in paths:
        found = numbered.fullmatch(path)
        if found and int(found[3]) >= (plan if found[2] == "plan" else part):
            later.append(path)
    done = [path for path in later if path.endswith(".json")]
    delete_ours(uri, re.compile("|".join(map(re.escape, later)) or "(?!)"), first=done)


def begin_anew(uri: str, recipe: Mapping[str, Any]) -> None:
    """Empty a finished folder of ours and lay the recipe down again; DataError as ``claim``."""
    _clear(uri)
    _begin(uri, recipe)


def _refuse_other_layout(out_uri: str, recipes: Mapping[str, Mapping[str, Any]]) -> None:
    """Split and unsplit data, or other splits, don't lie in one another."""
    for name in ("", *SPLITS):
        uri = storage.join(out_uri, name)
        if name not in recipes and _recipe_of(uri) is not None:
            asked = f"a split into {', '.join(recipes)}" if "" not in recipes else "none"
            raise DataError(
                f"{uri} holds prepared data {'with' if name else 'without'} a split, but {asked} "
                "was asked for; choose another folder, or delete it"
            )


def _recipe_of(uri: str) -> Mapping[str, Any] | None:
    if storage.exists(storage.join(uri, MANIFEST_NAME)):
        try:
            return load_manifest(uri).recipe
        except DataError as error:
            return {"manifest": str(error)}
    return recipe_at(storage.join(uri, PARTS_NAME, _RECIPE_NAME))


def _finished(uri: str) -> Manifest | None:
    if not storage.exists(storage.join(uri, MANIFEST_NAME)):
        return None
    if storage.exists(storage.join(uri, PARTS_NAME)):
        release(uri)  # killed after the manifest
    return load_manifest(uri)


def _differing(uri: str, recipe: Mapping[str, Any], found_later: Collection[str]) -> list[str]:
    """How the recipe of what lies at ``uri`` differs; empty if it doesn't, or nothing is there."""
    there = _recipe_of(uri)
    if there is None:
        _refuse_foreign_files(uri)
        return []
    return differences(there, recipe, found_later)


def _refuse_foreign_files(uri: str) -> None:
    if not storage.exists(uri):
        return
    ours = f"/{PARTS_NAME}/{_RECIPE_NAME}"  # laid down meanwhile
    found = storage.list_files(uri, recursive=True)
    first = next((i for i in found if not storage.split_options(i.uri)[0].endswith(ours)), None)
    if first is not None:
        raise DataError(
            f"{uri} holds files that aren't prepared data, such as {first.uri}; "
            "choose an empty or a new folder"
        )


def _begin(uri: str, recipe: Mapping[str, Any]) -> None:
    """Lay the recipe down; of two jobs at once with different ones the second is refused."""
    if storage.is_local(uri):  # object stores show whole files alone
        delete_ours(uri, _LEFTOVERS)
    lay_down(storage.join(uri, PARTS_NAME, _RECIPE_NAME), recipe, uri, ANOTHER)


def _clear(uri: str) -> None:
    """Remove prepared data, the manifest first: from then on it is unfinished."""
    recipe = f"{PARTS_NAME}/{_RECIPE_NAME}"
    delete_ours(uri, _OURS, first=[MANIFEST_NAME], last=[recipe])
