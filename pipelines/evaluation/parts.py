"""What an evaluation has read so far: Parquet files of predictions that also say what they count.

A file appears when it is whole, so an evaluation that was killed goes on behind its last one. Its
metadata has the recipe of the evaluation (bundle, sets, decoder and so on) and the sums of the
rows that it covers; nothing is counted again.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crnn import kill_points
from crnn.errors import DataError
from crnn.files import storage
from pipelines.evaluation.planned import Planned
from pipelines.evaluation.reader import PREDICTION_SCHEMA, PieceOutcome
from pipelines.evaluation.tally import ReadingTally
from pipelines.owned import delete_ours

FILE_ROWS = 1_000_000
MOST_S = 30.0
"""A file is closed after this long at most, and after a quarter of the time that the evaluation has
taken so far: little is read again."""
_METADATA = b"crnn.evaluation"
_FORMAT = 1
_OURS = re.compile(r"part-\d{5}\.parquet")


@dataclass(kw_only=True)
class Covered:
    """Some rows of an evaluation, from its first one on: what was read, and how long it took."""

    rows: int = 0
    """Rows looked at, in the order of the plan."""
    seconds: float = 0.0
    engines: set[str] = field(default_factory=set)
    tally: ReadingTally = field(default_factory=ReadingTally)

    def add(self, other: Covered) -> None:
        """The rows that follow."""
        self.rows += other.rows
        self.seconds += other.seconds
        self.engines |= other.engines
        self.tally.add(other.tally)


def recipe(planned: Planned) -> str:
    """A digest of everything that decides about the predictions."""
    config, bundle = planned.config, planned.config.bundle
    words = "\n".join(config.lexicon or ())
    parts = {
        "format": _FORMAT,
        "bundle": bundle.digest,
        "calibration": [bundle.calibration.slope, bundle.calibration.bias],
        "sets": [[name, found.digest] for name, found in planned.manifests.items()],
        "decoder": [config.decoder, bundle.decoder],
        "lexicon": hashlib.sha256(words.encode()).hexdigest() if config.lexicon else "",
        "engine": config.engine,
        "held_out_share": config.held_out_share,
        "limit": planned.limit,
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def are_begun(uri: str, recipe: str) -> bool:
    """Whether an evaluation of this recipe has written predictions there."""
    return _read(uri, 0, recipe) is not None


def forget_parts(uri: str) -> None:
    """Delete the predictions of an evaluation that is to begin from the first row.

    Raises:
        DataError: when they can't be deleted.
    """
    if storage.exists(uri):
        delete_ours(uri, _OURS)


class Parts:
    """The files ``part-00000.parquet`` and on of one evaluation in one folder."""

    def __init__(self, uri: str, recipe: str, *, file_rows: int = FILE_ROWS) -> None:
        self._uri, self._recipe, self._file_rows = uri, recipe, file_rows
        self._files = 0
        self._before_s = 0.0
        self._open: _OpenPart | None = None

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *error: object) -> None:
        """The rows that were read count, whatever has ended the evaluation."""
        self._close()

    def taken_up(self) -> Iterator[tuple[Covered, pa.Table]]:
        """What each file of an earlier run says, and its predictions, in order.

        The first file that is of another evaluation, and all behind it, are deleted.
        """
        while (found := _read(self._uri, self._files, self._recipe)) is not None:
            self._files += 1
            self._before_s += found[0].seconds
            yield found
        if storage.exists(self._uri):
            kept = "|".join(re.escape(_name(number)) for number in range(self._files))
            later = re.compile(rf"(?!(?:{kept})$){_OURS.pattern}") if kept else _OURS
            delete_ours(self._uri, later)

    def write(self, outcome: PieceOutcome) -> None:
        """Add what the next rows gave."""
        if self._open is None:
            self._open = _OpenPart(self._uri, _name(self._files), self._recipe)
            self._files += 1
        self._open.write(outcome)
        part = self._open
        patience_s = min(MOST_S, (self._before_s + part.age_s) / 4)
        if part.predictions >= self._file_rows or part.age_s >= max(1.0, patience_s):
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            part, self._open = self._open, None
            self._before_s += part.close()


def _read(uri: str, number: int, recipe: str) -> tuple[Covered, pa.Table] | None:
    """A file of this recipe; None where there is another one, or none."""
    address = storage.join(uri, _name(number))
    try:
        file = pq.ParquetFile(pa.BufferReader(storage.read_bytes(address)))
        about = json.loads((file.metadata.metadata or {}).get(_METADATA, b"{}"))
        return (_covered(about), file.read()) if about.get("recipe") == recipe else None
    except (FileNotFoundError, pa.ArrowInvalid):
        return None


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


class _OpenPart:
    """A file that is being written, under another name until it is whole."""

    def __init__(self, uri: str, name: str, recipe: str) -> None:
        self._name, self._recipe = name, recipe
        self._began_s = time.monotonic()
        self._covered = Covered()
        self._is_sound = True
        self.predictions = 0
        self._stack = ExitStack()
        path = self._stack.enter_context(storage.replacing(storage.join(uri, name)))
        self._file = pq.ParquetWriter(path, PREDICTION_SCHEMA, compression="zstd")
        self._stack.callback(self._file.close)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began_s

    def write(self, outcome: PieceOutcome) -> None:
        self._is_sound = False  # until all rows are there
        self._file.write_table(outcome.predictions)
        self._is_sound = True
        self.predictions += outcome.predictions.num_rows
        self._covered.add(Covered(rows=outcome.rows, engines={outcome.engine}, tally=outcome.tally))

    def close(self) -> float:
        """Put the file in its place; the seconds that it covers.

        A file that couldn't be written, as on a full disk, goes.
        """
        if not self._is_sound:
            with suppress(OSError, pa.ArrowException):
                self._stack.__exit__(DataError, DataError(f"{self._name} isn't whole"), None)
            return 0.0
        self._covered.seconds = self.age_s
        text = json.dumps(_about(self._covered, self._recipe))
        self._file.add_key_value_metadata({_METADATA: text.encode()})
        kill_points.reached("before", self._name)
        self._stack.close()
        kill_points.reached("after", self._name)
        return self._covered.seconds


def _about(covered: Covered, recipe: str) -> dict[str, Any]:
    return {
        "recipe": recipe,
        "rows": covered.rows,
        "seconds": covered.seconds,
        "engines": sorted(covered.engines),
        "tally": covered.tally.to_dict(),
    }


def _covered(about: dict[str, Any]) -> Covered:
    return Covered(
        rows=about["rows"],
        seconds=about["seconds"],
        engines=set(about["engines"]),
        tally=ReadingTally.from_dict(about["tally"]),
    )
