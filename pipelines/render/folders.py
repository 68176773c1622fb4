"""Files of a folder that a user names for rendering: fonts, photographs."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from crnn.errors import DataError


def files_below(folder: str, suffixes: Collection[str], what: str) -> list[Path]:
    """Whole paths of the files of these suffixes in a folder and those below it, in order.

    Raises:
        DataError: when it is no folder, one can't be looked into, or there is no such file;
            ``what`` they are.
    """
    kinds = ", ".join(suffixes)
    if not os.path.isdir(folder):  # noqa: PTH112 - Path's raises where nobody may look
        raise DataError(f"{folder} isn't a folder; expected one with {what} ({kinds})")
    found: list[str] = []
    for place, _, names in os.walk(Path(folder).absolute(), onerror=_refuse):
        found += [f"{place}/{name}" for name in names if name.lower().endswith(tuple(suffixes))]
    files = sorted(Path(path) for path in found if os.path.isfile(path))  # noqa: PTH113
    if not files:
        raise DataError(f"{folder} has no {what}; expected {kinds} files")
    return files


def _refuse(error: OSError) -> None:
    raise DataError(
        f"can't look into {error.filename}: {error.strerror}; check its permissions, or choose "
        "another folder"
    ) from error
