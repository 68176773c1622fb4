"""Chunks in one process: bytes fetched ahead, decoded by processes of their own, read, written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

import cv2
import pyarrow as pa
import torch

from crnn.bundle.bundle import Bundle
from crnn.decode import CharNgram, Decoder
from crnn.files import storage
from crnn.images.sandbox.pool import Encoded, PicturePool
from crnn.inference.doubt import Then
from crnn.inference.recognizer import Recognizer
from crnn.pages.detector import Detector
from crnn.pages.lines import Second
from pipelines.ledger import Chunk, read_chunk
from pipelines.recognition.config import BulkConfig
from pipelines.recognition.finished import read_part
from pipelines.recognition.page_lines import PageLines
from pipelines.recognition.rows import Counted, counted, result_table
from pipelines.recognition.second import Read, SecondReader
from pipelines.recognition.source import Entry, encoded
from pipelines.recognition.sums import ResultSums, as_file
from pipelines.spread import is_second_try


@dataclass(frozen=True, kw_only=True)
class ChunkReadConfig:
    """Everything that a process needs to read chunks."""

    bundle: Bundle
    then: Then | None = None
    """What reads what the bundle doubts."""
    detector: Detector | None = None
    """What finds the text of whole pages; None where inputs are read whole."""
    lexicon: Sequence[str] | None
    ngram: CharNgram | None
    options: BulkConfig


@dataclass(frozen=True, kw_only=True)
class ChunkOutcome:
    """What became of a chunk."""

    part: str
    rows: int
    """Inputs; of pages each has any number of rows."""
    sums: ResultSums
    """Of its rows, for the report."""
    counted: Counted | None
    """Counts of whole pages; None if each input is one picture."""
    began: float
    """When its first picture was fetched, s since 1970, by the clock of its node."""
    ended: float
    """When its rows were written."""


class ChunkReader:
    """A bundle on its device with one decoder, and the processes that decode pictures for it."""

    def __init__(self, config: ChunkReadConfig) -> None:
        self._config = config
        options = config.options
        if not options.use_gpu:
            torch.set_num_threads(1)
            cv2.setNumThreads(1)
        self._recognizer, self._decode, self._pictures = self._parts(config.bundle)
        self._decodes_small = not (options.decode_processes or options.use_gpu)
        self._lines = self._second = None
        if config.detector is not None:
            self._lines = self._page_lines(config.detector, config.then)
        elif config.then is not None:
            self._second = self._second_reader(config.then)

    def __call__(self, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        """Read these chunks and put each one's results file in place.

        The next chunk's pictures are fetched and decoded while this one's are read, and a file
        is written while the next chunk is read.

        Raises:
            DataError: when a plan can't be read, or the results can't be written.
        """
        is_retried = is_second_try()
        if is_retried:  # what the process before this one has done stays
            there = {chunk.part: self._found(chunk) for chunk in chunks}
            yield from filter(None, there.values())
            chunks = [chunk for chunk in chunks if there[chunk.part] is None]
        writing: Future[ChunkOutcome] | None = None
        with ThreadPoolExecutor(1) as writer:
            for read in self._read(chunks, small_here=self._decodes_small and not is_retried):
                if writing:
                    yield writing.result()
                writing = writer.submit(self._write, read)
            if writing:
                yield writing.result()

    def _read(self, chunks: Sequence[Chunk], *, small_here: bool) -> Iterator[Read]:
        """The chunks in their order, with what was read."""
        inputs: deque[pa.Table] = deque()
        files = encoded(_entries(chunks, inputs), self._config.options.prefixes)
        if self._lines is not None:
            return self._lines.read(chunks, inputs, files)
        if self._second is None:
            return self._read_first(chunks, inputs, files, small_here)
        files = self._second.holding(files)
        reads = self._read_first(chunks, inputs, files, small_here)
        return self._second.settled(reads, small_here=small_here)

    def _read_first(
        self,
        chunks: Sequence[Chunk],
        inputs: deque[pa.Table],
        files: Iterator[Encoded],
        small_here: bool,
    ) -> Iterator[Read]:
        pictures = chain.from_iterable(self._pictures.prepare(files, small_here=small_here))
        for chunk in chunks:
            began = time.time()
            readings = self._recognizer.read_prepared(
                islice(pictures, chunk.rows), self._decode, chars=self._config.options.chars
            )
            yield Read(chunk=chunk, inputs=inputs.popleft(), readings=readings, began=began)

    def _parts(self, bundle: Bundle) -> tuple[Recognizer, Decoder, PicturePool]:
        """What reads with a bundle: its engine, its decoder, the processes that decode for it."""
        config, options = self._config, self._config.options
        recognizer = Recognizer(
            bundle,
            device=options.device,
            batch_pixels=options.batch_pixels,
            engine=options.engine,
        )
        decode = recognizer.decoder(
            options.decoder or None, lexicon=config.lexicon, ngram=config.ngram
        )
        pictures = PicturePool(
            bundle.picture,
            processes=options.decode_processes or 1,
            memory_bytes=options.decode_memory_mb << 20,
            timeout_s=options.decode_timeout_s,
        )
        return recognizer, decode, pictures

    def _page_lines(self, detector: Detector, then: Then | None) -> PageLines:
        options, second = self._config.options, None
        if then is not None:
            recognizer, decode, _ = self._parts(then.bundle)
            second = Second(then=then, recognizer=recognizer, decode=decode)
        return PageLines(
            recognizer=self._recognizer,
            decode=self._decode,
            pictures=self._pictures,
            detector=detector,
            request=options.page_request,
            chars=options.chars,
            second=second,
        )

    def _second_reader(self, then: Then) -> SecondReader:
        options = self._config.options
        return SecondReader(
            then, *self._parts(then.bundle), chars=options.chars, prefixes=options.prefixes
        )

    def _found(self, chunk: Chunk) -> ChunkOutcome | None:
        """Outcome of a chunk whose results file exists."""
        address = storage.join(chunk.uri, chunk.part)
        if not storage.exists(address):
            return None
        table, now = read_part(address), time.time()
        return _outcome(chunk, table, ResultSums.of(chunk.part, table), now, now)

    def _write(self, read: Read) -> ChunkOutcome:
        options, chunk = self._config.options, read.chunk
        table = result_table(
            read.inputs, read.readings, min_confidence=options.min_confidence, chars=options.chars
        )
        address = storage.join(chunk.uri, chunk.part)
        sums = ResultSums.of(chunk.part, table)
        storage.write_bytes(address, as_file(table, sums))  # a node whose disk is full goes on
        return _outcome(chunk, table, sums, read.began, time.time())


def _entries(chunks: Sequence[Chunk], inputs: deque[pa.Table]) -> Iterator[list[Entry]]:
    """The inputs of each chunk when they are asked for; they are put into ``inputs`` too."""
    for chunk in chunks:
        table = read_chunk(chunk)
        inputs.append(table)
        yield table.to_pylist()


def _outcome(
    chunk: Chunk, rows: pa.Table, sums: ResultSums, began: float, ended: float
) -> ChunkOutcome:
    return ChunkOutcome(
        part=chunk.part,
        rows=chunk.rows,
        sums=sums,
        counted=counted(rows),
        began=began,
        ended=ended,
    )
