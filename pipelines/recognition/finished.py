"""The results of a bulk job for further use: where they are, and whether they are complete.

Needs neither Ray nor PyTorch.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.brief import brief
from crnn.errors import DataError
from crnn.files import storage
from crnn.pages.page import PageRequest
from pipelines.keys import key
from pipelines.ledger import of_parquet

REPORT_FILE = "_report.json"
"""Written last, beside the folder of results."""
OF_PAGES = frozenset({"page", "line"})
"""Columns that only a job that reads whole pages writes."""
COMPLETE_THEM = "run jobs/recognize.py again to complete them"
"""What to do about unfinished results."""
FOLDER = "model="
"""What the name of a folder of results begins with; the digest goes on."""
WORK_FOLDER, RECIPE_FILE = "_work", "recipe.json"
"""Beside the folders of results, by digest: with which options their rows were made."""
PLACE = ("uri", "page", "region")
"""Columns that tell the picture of a row from all others."""
_THREADS, _AHEAD = 8, 32
_Read = TypeVar("_Read")


def results_at(uri: str) -> tuple[str, list[str]]:
    """The ``model=…`` folder that an output folder has, or that ``uri`` is, and its files.

    Raises:
        DataError: when there are no results, or those of several models.
    """
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    try:
        for info in storage.list_files(uri, suffix=".parquet", recursive=True):
            folder = parent(info.uri)
            if storage.base_name(folder).startswith(FOLDER):
                by_folder[folder].append(info.uri)
    except FileNotFoundError:
        pass
    if not by_folder:
        raise DataError(
            f"there are no results at {uri}; expected the --output folder of jobs/recognize.py, "
            f"or a {FOLDER}… folder in it"
        )
    if len(by_folder) > 1:
        found = "\n  ".join(sorted(by_folder))
        raise DataError(f"{uri} has the results of several models; give one of\n  {found}")
    return next(iter(by_folder.items()))


def check_finished(folder: str, remedy: str) -> None:
    """Raises DataError, which ends with ``remedy``, unless the report beside it is about it."""
    address = storage.join(parent(folder), REPORT_FILE)
    try:
        digest = json.loads(storage.read_bytes(address))["model"]["digest"]
    except FileNotFoundError:
        raise DataError(f"the results {folder} are unfinished: no {address}; {remedy}") from None
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{address} isn't the report of a bulk job: {brief(error)}; {remedy}"
        ) from error
    wanted = storage.base_name(folder).removeprefix(FOLDER)
    if not str(digest).startswith(wanted):
        raise DataError(
            f"{address} is about model {str(digest)[: len(wanted)]}, so it isn't known whether "
            f"{folder} is complete; {remedy}"
        )


def work_of(folder: str) -> str:
    """Where the plans of a ``model=…`` folder are, and its recipe."""
    digest = storage.base_name(folder).removeprefix(FOLDER)
    return storage.join(parent(folder), WORK_FOLDER, digest)


def page_request(folder: str) -> PageRequest:
    """How the job has opened the pages that a ``model=…`` folder has lines of.

    Raises:
        DataError: when the folder's recipe is missing or says nothing of pages.
    """
    address = storage.join(work_of(folder), RECIPE_FILE)
    try:
        recipe = json.loads(storage.read_bytes(address))
        return PageRequest(dpi=recipe["dpi"], most_pages=recipe["max_pages"])
    except FileNotFoundError:
        raise DataError(
            f"{folder} has lines of pages, but there is no {address}, which says how they were "
            "drawn; give the whole --output folder of the job"
        ) from None
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{address} doesn't say how pages were drawn: {brief(error)}") from error


def read_part(address: str, columns: list[str] | None = None) -> pa.Table:
    """A results file, all columns or the given ones, of ``OF_PAGES`` those that it has; passing
    errors are tried again."""
    return of_parquet(address, lambda part: part.read(columns=_there(part, columns)))


def read_parts(addresses: Sequence[str], columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """Many results files in their order, each with its address; some are read at a time."""
    return of_parts(addresses, lambda address: read_part(address, columns))


def of_parts(addresses: Sequence[str], read: Callable[[str], _Read]) -> Iterator[tuple[str, _Read]]:
    """What ``read`` gives of each address, in their order, of some at a time."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(addresses), _AHEAD):
            some = addresses[start : start + _AHEAD]
            yield from zip(some, threads.map(read, some), strict=True)


def read_groups(address: str, columns: list[str]) -> Iterator[pa.Table]:
    """The same a row group at a time, for files of any size."""
    for group in range(of_parquet(address, lambda part: part.num_row_groups)):
        yield of_parquet(address, partial(_group, group, columns))


def names_of_part(address: str) -> list[str]:
    """The columns of a results file."""
    return list(of_parquet(address, lambda part: part.schema_arrow.names))


def _group(group: int, columns: list[str], part: pq.ParquetFile) -> pa.Table:
    return part.read_row_group(group, columns=_there(part, columns))


def _there(part: pq.ParquetFile, columns: list[str] | None) -> list[str] | None:
    missing = OF_PAGES.difference(part.schema_arrow.names)
    return None if columns is None else [one for one in columns if one not in missing]


def key_of(row: Mapping[str, Any]) -> bytes:
    """What tells the picture of a row with the columns ``PLACE`` from all others: 16 bytes that
    look random and are the same whenever they are asked for."""
    page = row.get("page") or 1
    later = f"\0{page}" if page > 1 else ""
    return key(f"{row['uri']}\0{row['region']}{later}")


def parent(uri: str) -> str:
    """The folder that something lies in."""
    bare, options = storage.split_options(uri)
    return bare.rstrip("/").rpartition("/")[0] + options
