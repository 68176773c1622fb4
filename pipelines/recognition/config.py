"""How pictures are read, and the choices of a bulk job; needs neither Ray nor PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.engines import AUTO, BATCH_PIXELS
from pipelines.prefixes import check_prefix


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How pictures are read, a few in this process or all of a bucket."""

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
    engine: str = AUTO
    """What runs the model: torch, compiled, onnx or openvino; auto takes the fastest there is.
    openvino-bf16 or torch-bf16 compute in bfloat16: in bundles that say what is lost with them."""
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch of the model; a GPU takes ten times as many."""
    use_gpu: bool = False
    """Read on the cluster's GPUs, one process for each."""

    @property
    def device(self) -> str:
        """Where the model runs."""
        return "cuda" if self.use_gpu else "cpu"


@dataclass(frozen=True, kw_only=True)
class BulkConfig(ReadOptions):
    """How the pictures of a bulk job are read."""

    min_confidence: float = 0.0
    """Readings less sure than this (0 to 1) become errors, low_confidence."""
    retry_failed: bool = False
    """Read again the inputs whose row is an error."""
    prefixes: tuple[str, ...] = ()
    """Folders (paths, s3:// or gs:// addresses) that inputs must lie in, those that a list or a
    prepared set names included; one outside is an error, not_allowed. Default: anywhere."""
    workers: int = 0
    """At most so many processes that read; 0 for one on each CPU, or GPU."""
    decoders: int = 0
    """Processes that decode pictures, for each one that reads. 0: one, and on a CPU the process
    that reads decodes small plain JPEGs and PNGs itself, until a picture has ended it."""
    decode_memory_mb: int = 2048
    """MiB of memory for one decoding process; a picture that needs more is an error."""
    decode_timeout_s: float = 30.0
    """Seconds for decoding one picture; one that takes longer is an error."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"--min-confidence is {self.min_confidence}; expected 0 to 1")
        if self.workers < 0:
            raise ValueError(f"--workers is {self.workers}; expected 0 (all) or a number")
        if self.decoders < 0:
            raise ValueError(f"--decoders is {self.decoders}; expected 0 (as needed) or a number")
        if self.decode_memory_mb < 256:
            raise ValueError(f"--decode-memory-mb is {self.decode_memory_mb}; expected 256 or more")
        if self.decode_timeout_s <= 0:
            raise ValueError(f"--decode-timeout-s is {self.decode_timeout_s}; expected above 0")
        for prefix in self.prefixes:
            check_prefix(prefix, "--prefixes")
