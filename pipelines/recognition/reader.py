"""One chunk in one process: pictures fetched and prepared by some threads, read, written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from crnn import storage
from crnn.bundle import Bundle
from crnn.decode import CharNgram
from crnn.errors import PictureError
from crnn.image import PictureContract
from crnn.prepare import Prepared, prepare
from crnn.recognizer import BATCH_PIXELS, Recognizer, Result
from pipelines.recognition.plan import Chunk, read_chunk

MAX_FILE_BYTES = 64 * 1024 * 1024
REMOTE_THREADS = 16
_CHAR = pa.struct(
    [
        ("char", pa.string()),
        ("probability", pa.float32()),
        ("x0", pa.float32()),
        ("x1", pa.float32()),
    ]
)
RESULT_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("chars", pa.list_(_CHAR)),
        ("error_code", pa.string()),
        ("error_message", pa.string()),
        ("model", pa.string()),
    ]
)
"""One row an input. ``error_code`` is null where the picture was read, ``text`` where it wasn't."""


@dataclass(frozen=True, kw_only=True)
class BulkConfig:
    """How the pictures of a bulk job are read."""

    decoder: str = ""
    """greedy, beam or lexicon; default: as a lexicon or an n-gram imply, else the bundle's."""
    lexicon: str = ""
    """A text file with the words allowed, one a line."""
    ngram: str = ""
    """A character n-gram for the beam decoder (JSON)."""
    chars: bool = True
    """Give each character's probability and place."""
    all_files: bool = False
    """Read files too whose names don't end like pictures'."""
    retry_failed: bool = False
    """Read again the inputs whose row is an error."""
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch of the model; a GPU takes ten times as many."""
    use_gpu: bool = False
    """Read on the cluster's GPUs, one process for each."""


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """Everything that a process needs to read chunks."""

    bundle: Bundle
    lexicon: Sequence[str] | None
    ngram: CharNgram | None
    options: BulkConfig


@dataclass(frozen=True, kw_only=True)
class ChunkOutcome:
    """What became of a chunk."""

    part: str
    rows: int
    errors: Counter[str] = field(default_factory=Counter)
    """By code."""


class ChunkReader:
    """A bundle on its device with one decoder; a call reads one chunk and writes its file."""

    def __init__(self, config: ReadConfig, results_uri: str) -> None:
        self._config, self._results_uri = config, results_uri
        options = config.options
        if not options.use_gpu:
            torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self._recognizer = Recognizer(
            config.bundle,
            device="cuda" if options.use_gpu else "cpu",
            batch_pixels=options.batch_pixels,
        )
        self._decode = self._recognizer.decoder(
            options.decoder or None, lexicon=config.lexicon, ngram=config.ngram
        )

    def __call__(self, chunk: Chunk) -> ChunkOutcome:
        """Read the chunk's pictures, and put its results file in place.

        Raises:
            DataError: when the plan can't be read, or the results can't be written.
        """
        inputs = read_chunk(chunk).to_pylist()
        pictures = list(fetched(inputs, self._config.bundle.picture))
        results = self._recognizer.read_prepared(
            pictures, self._decode, chars=self._config.options.chars
        )
        rows = [_row(entry, result) for entry, result in zip(inputs, results, strict=True)]
        address = storage.join(self._results_uri, chunk.part)
        with storage.replacing(address) as path:
            pq.write_table(
                pa.Table.from_pylist(rows, schema=RESULT_SCHEMA), path, compression="zstd"
            )
        errors = Counter(result.error_code for result in results if result.error_code)
        return ChunkOutcome(part=chunk.part, rows=len(rows), errors=errors)


def fetched(
    inputs: Sequence[dict[str, Any]], contract: PictureContract
) -> Iterator[Prepared | PictureError]:
    """Each input as the model takes it, or why it can't be; encoded bytes are not kept."""

    def one(entry: dict[str, Any]) -> Prepared | PictureError:
        try:
            if (entry["size"] or 0) > MAX_FILE_BYTES:
                raise PictureError(
                    "too_large", f"{entry['size']} bytes; expected at most {MAX_FILE_BYTES}"
                )
            return prepare(entry["uri"], contract)
        except PictureError as error:
            return error

    if all(storage.is_local(entry["uri"]) for entry in inputs):
        yield from map(one, inputs)
        return
    with ThreadPoolExecutor(REMOTE_THREADS) as threads:
        yield from threads.map(one, inputs)


def _row(entry: dict[str, Any], result: Result) -> dict[str, Any]:
    read = result.error_code is None
    return {
        "uri": entry["uri"],
        "etag": entry["etag"],
        "text": result.text if read else None,
        "confidence": result.confidence if read else None,
        "chars": [vars(char) for char in result.chars] if read else None,
        "error_code": result.error_code,
        "error_message": result.error_message,
        "model": result.model,
    }
