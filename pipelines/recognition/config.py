"""How pictures are read, and the choices of a bulk job; needs neither Ray nor PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from typing_extensions import Doc

from crnn.engines import AUTO, BATCH_PIXELS
from crnn.inference.doubt import BELOW, Then, check_bound, second_bundle
from crnn.pages.graph import PACKAGE, detector_graph
from crnn.pages.page import DPI, LONGEST_PX, MOST_PAGES, PageRequest
from crnn.shared_settings import (
    DECODED_BY,
    Below,
    DecodeMemoryMb,
    DecodeTimeoutS,
    EngineName,
    LexiconFile,
    SecondBundle,
    Surer,
    UseGpu,
)
from pipelines.prefixes import check_prefix

if TYPE_CHECKING:
    from crnn.pages.db import DbDetector

EVERY_S, MOST_EVERY_S = 10.0, 86_400.0
"""Seconds between two listings of an input that is followed: usual, and most."""
RELIST_S, MOST_RELIST_S = 86_400.0, 31 * 86_400.0
"""The same where events tell what comes."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How pictures are read, a few in this process or all of a bucket."""

    decoder: Annotated[
        str,
        Doc(
            f"{DECODED_BY}; default: lexicon with --lexicon, beam with --ngram, else the bundle's "
            "own."
        ),
    ] = ""
    lexicon: LexiconFile = ""
    ngram: str = ""
    """A character n-gram for the beam decoder: the JSON file that crnn ngram makes."""
    then: SecondBundle = ""
    below: Below = BELOW
    surer: Surer = False
    chars: bool = True
    """Include the probability and position of each character."""
    all_files: bool = False
    """Also read files whose names don't have a picture's suffix, such as .png."""
    engine: EngineName = AUTO
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch; use ten times as many on a GPU."""
    pages: bool = False
    """Read whole pages, PDFs and TIFFs of several pages: find their text, and read each line in
    reading order. Needs the extra 'pages'."""
    detector: str = PACKAGE
    """With --pages, what finds the text: the installed package rapidocr, or an ONNX file of the DB
    family."""
    detect_px: int = LONGEST_PX
    """With --pages: longest side, px, to which a page is shrunk to find its text."""
    dpi: int = DPI
    """With --pages: dots per inch at which a PDF is drawn."""
    max_pages: int = MOST_PAGES
    """With --pages: a file with more pages is an error, too_many_pages."""
    use_gpu: UseGpu = False

    def second(self, *, with_onnx: bool = True) -> Then | None:
        """The second bundle, if there is one, as ``second_bundle`` loads it."""
        return second_bundle(self.then, below=self.below, surer=self.surer, with_onnx=with_onnx)

    @property
    def device(self) -> str:
        """Where the model runs."""
        return "cuda" if self.use_gpu else "cpu"

    def __post_init__(self) -> None:
        check_bound(self.then, self.below, self.surer)
        of_pages = ("detector", "detect_px", "dpi", "max_pages")
        usual = {field.name: field.default for field in fields(self)}
        given = [name for name in of_pages if getattr(self, name) != usual[name]]
        if given and not self.pages:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"{flags}: only with --pages, which reads whole pages")
        if not 64 <= self.detect_px <= 8192:
            raise ValueError(f"--detect-px is {self.detect_px}; expected 64 to 8192 px")
        _ = self.page_request

    @property
    def page_request(self) -> PageRequest:
        """How the pages of files are opened."""
        return PageRequest(dpi=self.dpi, most_pages=self.max_pages)

    def page_detector(self) -> DbDetector:
        """What finds the text of pages, once it has run here.

        Raises:
            DataError: as ``crnn.pages.graph.detector_graph``; for a graph that doesn't run.
        """
        from crnn.pages.db import DbDetector

        detector = DbDetector(graph=detector_graph(self.detector), longest_px=self.detect_px)
        detector.load()
        return detector


@dataclass(frozen=True, kw_only=True)
class BulkConfig(ReadOptions):
    """How the pictures of a bulk job are read."""

    min_confidence: float = 0.0
    """Rows with a lower confidence (0 to 1) become errors, low_confidence, and keep their text."""
    ignore_columns: tuple[str, ...] = ()
    """Columns of a list to ignore, by name; '*': all unknown ones. Otherwise an unknown column is
    an error, as it may be a box under another name."""
    retry_failed: bool = False
    """Read the inputs again whose row is an error."""
    prefixes: tuple[str, ...] = ()
    """Folders (paths, s3:// or gs:// addresses) that inputs must be in, including those named by a
    list or a prepared set; an input outside becomes an error, not_allowed. Default: anywhere."""
    workers: int = 0
    """Maximum number of reading processes; 0: one for each CPU or GPU."""
    decode_processes: int = 0
    """Decoding processes for each reading process. 0: one; on a CPU the reading process also
    decodes small plain JPEGs and PNGs itself, until a picture has crashed it."""
    decode_memory_mb: DecodeMemoryMb = 2048
    decode_timeout_s: DecodeTimeoutS = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"--min-confidence is {self.min_confidence}; expected 0 to 1")
        if self.workers < 0:
            raise ValueError(f"--workers is {self.workers}; expected 0 (all) or a number")
        if self.decode_processes < 0:
            raise ValueError(
                f"--decode-processes is {self.decode_processes}; expected 0 (as needed) or a number"
            )
        if self.decode_memory_mb < 256:
            raise ValueError(f"--decode-memory-mb is {self.decode_memory_mb}; expected 256 or more")
        if self.decode_timeout_s <= 0:
            raise ValueError(f"--decode-timeout-s is {self.decode_timeout_s}; expected above 0")
        for prefix in self.prefixes:
            check_prefix(prefix, "--prefixes")
