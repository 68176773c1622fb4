"""What an online recognizer is given: its engine, its decoding processes and its bounds."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.engines import AUTO, BATCH_PIXELS
from crnn.shared_settings import DecodeMemoryMb, DecodeTimeoutS, EngineName


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """How pictures are read for many callers, and how much is taken in at once."""

    engine: EngineName = AUTO
    device: str = "cpu"
    """Where the model runs: cpu or cuda."""
    threads: int = 1
    """Threads for one batch, on a CPU."""
    engine_threads: int = 0
    """Number of engines, each of which computes one batch at a time; 0: one for each of the
    replica's CPUs (divided by --online.threads), one on a GPU."""
    spare_engines: int = 0
    """Additional engines, used only while cores of the machine are idle."""
    batch_pixels: int = BATCH_PIXELS
    """Padded pixels in a batch, by default 128 pictures of 32x128 px; use more on a GPU."""
    batch_wait_ms: float = 5.0
    """Maximum time, ms, that a decoded picture waits for others to fill its batch while an engine
    is free."""
    queue_pictures: int = 4096
    """Maximum number of queued pictures; more are refused. A long line counts as several: one for
    every four heights of its width."""
    queue_mb: int = 256
    """Maximum size of the queued pictures, encoded, MiB; more are refused."""
    max_pixels: int = 16_000_000
    """Maximum pixels of a picture, by its header; a larger one becomes an error, too_large."""
    decode_processes: int = 1
    """Decoding processes. On a CPU, small plain JPEGs and PNGs are decoded by the engine threads
    instead."""
    decode_all_apart: bool = False
    """Decode small plain pictures in separate processes too. In the serving process they are
    bounded in work (one scan, nothing else that inflates, 512 KiB), so hostile pictures can't
    delay others, but a bug in libjpeg-turbo or libpng would affect that process: use this
    for untrusted clients, at the cost of throughput (docs/security.md)."""
    decode_memory_mb: DecodeMemoryMb = 1024
    decode_timeout_s: DecodeTimeoutS = 5.0

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
            "decode_processes",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.engine_threads < 0 or self.spare_engines < 0:
            raise ValueError(
                f"engine_threads is {self.engine_threads} and spare_engines "
                f"{self.spare_engines}; expected at least 0"
            )
        if not 0 <= self.batch_wait_ms <= 1000:
            raise ValueError(f"batch_wait_ms is {self.batch_wait_ms}; expected 0 to 1000 ms")
        if self.decode_memory_mb < 256:
            raise ValueError(f"decode_memory_mb is {self.decode_memory_mb}; expected 256 or more")
        if not self.decode_timeout_s > 0:
            raise ValueError(f"decode_timeout_s is {self.decode_timeout_s}; expected above 0")
