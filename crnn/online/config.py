"""What an online recognizer is given: its engine, its decoding processes and its bounds."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.engines import AUTO, BATCH_PIXELS


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """How pictures are read for many callers, and how much is taken in at once."""

    engine: str = AUTO
    """What runs the model: torch, compiled, onnx or openvino; auto takes the fastest there is.
    openvino-bf16 or torch-bf16 compute in bfloat16: in bundles that say what is lost with them."""
    device: str = "cpu"
    """Where the model runs: cpu or cuda."""
    threads: int = 1
    """Threads that compute one batch together, on a CPU."""
    engine_threads: int = 0
    """Batches computed at the same time, each by an engine of its own; 0: on a CPU as many as
    there is room for, on a GPU one."""
    spare_engines: int = 0
    """Engines beside those, which work while cores of this machine rest."""
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch: 128 pictures of 32x128 px. A GPU takes more."""
    batch_wait_ms: float = 5.0
    """The longest that a decoded picture waits for others while an engine is free, ms: for those
    being decoded, and, while no core rests, beside an engine that works."""
    queue_pictures: int = 4096
    """Pictures taken in and not yet answered; more are refused."""
    queue_mb: int = 256
    """MiB of encoded pictures taken in and not yet answered; more are refused."""
    max_pixels: int = 16_000_000
    """Pixels of one picture, by its header; a larger one is an error, too_large."""
    decoders: int = 1
    """Processes that decode pictures: on a CPU not the small plain JPEGs and PNGs, which the
    engine's threads decode."""
    decode_all_apart: bool = False
    """Decode those too in processes of their own: slower, but an error in a decoder that such a
    picture hits upon ends no replica."""
    decode_memory_mb: int = 1024
    """MiB of memory for one decoding process; a picture that needs more is an error."""
    decode_timeout_s: float = 5.0
    """Seconds for decoding one picture; one that takes longer is an error."""

    @property
    def decodes_small(self) -> bool:
        """Whether engine threads decode small plain pictures; a GPU would wait for them."""
        return self.device == "cpu" and not self.decode_all_apart

    def engines(self, cpus: int) -> int:
        """How many engines read at the same time, where these have ``cpus``."""
        return self.engine_threads or max(1, cpus // self.threads if self.device == "cpu" else 1)

    def __post_init__(self) -> None:
        for name in (
            "threads",
            "batch_pixels",
            "queue_pictures",
            "queue_mb",
            "max_pixels",
            "decoders",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.engine_threads < 0 or self.spare_engines < 0:
            raise ValueError(
                f"engine_threads is {self.engine_threads} and spare_engines {self.spare_engines}; "
                "expected 0 (by the CPUs; none) or a number"
            )
        if not 0 <= self.batch_wait_ms <= 1000:
            raise ValueError(f"batch_wait_ms is {self.batch_wait_ms}; expected 0 to 1000 ms")
        if self.decode_memory_mb < 256:
            raise ValueError(f"decode_memory_mb is {self.decode_memory_mb}; expected 256 or more")
        if not self.decode_timeout_s > 0:
            raise ValueError(f"decode_timeout_s is {self.decode_timeout_s}; expected above 0")
