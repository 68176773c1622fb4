"""What is left to do, written down before anything is done: the ledger of a job that resumes.

    plan-00003.parquet    inputs, a row group a chunk

A plan never changes. A chunk is done when its part is there, all or nothing, with its sums: shards
have them in a file beside them, which is deleted with the plans in the end; results, which stay as
they are and are added to for years, and predictions have them in their own metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from crnn.errors import DataError
from crnn.files import storage
from pipelines.stores import write_new

PLAN, PART = "plan", "part"
"""What the names of their files begin with."""
_Read = TypeVar("_Read")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Inputs that one process makes a part of."""

    uri: str
    """The folder of the part."""
    part: str
    """Name of the part."""
    rows: int
    address: str
    """The plan's file; the chunk is row group ``index``."""
    index: int


def plan_name(number: int, suffix: str = ".parquet") -> str:
    """Name of the file of a plan."""
    return f"{PLAN}-{number:05d}{suffix}"


def number_of(address: str) -> int:
    """The number after ``PLAN`` or ``PART`` in the name of a file."""
    return int(storage.base_name(address).split(".")[0].split("-")[1])


def files(uri: str, kind: str, suffix: str) -> list[str]:
    """Addresses of the files of a kind in a folder, in order; none where there is no folder."""
    try:
        found = [info.uri for info in storage.list_files(uri, suffix=suffix)]
    except FileNotFoundError:
        return []
    return [address for address in found if storage.base_name(address).startswith(f"{kind}-")]


def write_plan(address: str, chunks: Iterable[pa.Table], schema: pa.Schema) -> bool:
    """Write a plan where there is none; false where there is one, which stays as it is."""
    file = pa.BufferOutputStream()
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(chunk, row_group_size=len(chunk))
    return write_new(address, file.getvalue().to_pybytes())


def read_chunk(chunk: Chunk) -> pa.Table:
    """The inputs of a chunk; DataError as ``read_plan``."""
    return read_plan(chunk.address, lambda plan: plan.read_row_group(chunk.index))


def read_plan(address: str, take: Callable[[pq.ParquetFile], _Read]) -> _Read:
    """What ``take`` gives of a plan; DataError when its file is missing or damaged."""
    try:
        return of_parquet(address, take)
    except FileNotFoundError:
        raise DataError(
            f"the plan {address} is missing: another job was at work there, or somebody deleted "
            "the file; run this one again"
        ) from None
    except pa.ArrowException as error:
        raise DataError(
            f"the plan {address} is damaged ({error}); delete it and run the job again"
        ) from error


def of_parquet(address: str, take: Callable[[pq.ParquetFile], _Read]) -> _Read:
    """What ``take`` gives of a Parquet file, such as a part; passing errors are tried again."""
    storage.check_file(address)
    system, path = storage.resolve(address)

    def read() -> _Read:
        with (
            system.open_input_file(path) as file,
            pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True) as parquet,
        ):
            return take(parquet)

    return storage.attempt("read", address, read)


def gathered(tables: Iterable[pa.Table], least_rows: int) -> Iterator[pa.Table]:
    """Whole tables together until they have ``least_rows``; the last ones have fewer."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(len(part) for part in waiting) >= least_rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if sum(len(part) for part in waiting):
        yield pa.concat_tables(waiting)
