"""How pictures are read, and the choices of a bulk job; needs neither Ray nor PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.doubt import BELOW, check_bound
from crnn.engines import AUTO, BATCH_PIXELS
from pipelines.prefixes import check_prefix


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How pictures are read, a few in this process or all of a bucket."""

    decoder: str = ""
    """greedy, beam or lexicon; default: lexicon with --lexicon, beam with --ngram, else the
    bundle's own."""
    lexicon: str = ""
    """Text file with the allowed words, one a line."""
    ngram: str = ""
    """A character n-gram for the beam decoder (JSON)."""
    then: str = ""
    """A second bundle, which reads the pictures that the first one doubts: a folder, s3:// or
    gs:// address."""
    below: float = BELOW
    """With --then: a reading whose confidence (0 to 1) is lower is doubtful."""
    chars: bool = True
    """Include the probability and position of each character."""
    all_files: bool = False
    """Also read files whose names don't have a picture's suffix, such as .png."""
    engine: str = AUTO
    """What runs the model: torch, compiled, onnx or openvino; auto: the fastest one available.
    openvino-bf16 and torch-bf16 compute in bfloat16, if the bundle records what that loses."""
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch; use ten times as many on a GPU."""
    use_gpu: bool = False
    """Run on the GPUs of the cluster, one process each."""

    @property
    def device(self) -> str:
        """Where the model runs."""
        return "cuda" if self.use_gpu else "cpu"

    def __post_init__(self) -> None:
        check_bound(self.then, self.below)


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
    decoders: int = 0
    """Decoding processes for each reading process. 0: one; on a CPU the reading process also
    decodes small plain JPEGs and PNGs itself, until a picture has crashed it."""
    decode_memory_mb: int = 2048
    """Memory limit of a decoding process, MiB; a picture that needs more becomes an error."""
    decode_timeout_s: float = 30.0
    """Time limit for decoding one picture, seconds; a slower one becomes an error."""

    def __post_init__(self) -> None:
        super().__post_init__()
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
