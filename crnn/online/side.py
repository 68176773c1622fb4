"""One bundle online: an engine for every thread, and the processes that decode for it.

A cascade (``crnn.inference.doubt``) has two, which share threads, queue and batcher.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from crnn.bundle.bundle import Bundle
from crnn.images.prepare import Prepared, Small, small_picture
from crnn.images.sandbox.pool import Encoded, PicturePool
from crnn.inference.recognizer import Recognizer
from crnn.online.config import OnlineConfig


class BundleSide:
    """What reads with one bundle. Its processes start with the first file for them."""

    def __init__(self, bundle: Bundle, config: OnlineConfig, *, engines: int) -> None:
        """Raises ValueError for an unknown engine."""
        self.bundle, self._config = bundle, config
        self.recognizers = [
            Recognizer(
                bundle,
                device=config.device,
                batch_pixels=config.batch_pixels,
                engine=config.engine,
                threads=config.threads,
            )
            for _ in range(engines)
        ]
        self.decoder = self.recognizers[0].decoder()
        """The bundle's own."""
        self.pool = PicturePool(
            bundle.picture,
            processes=config.decode_processes,
            memory_bytes=config.decode_memory_mb << 20,
            timeout_s=config.decode_timeout_s,
            max_pixels=config.max_pixels,
        )

    @property
    def engine(self) -> str:
        """What runs the model, by name."""
        return self.recognizers[0].engine

    def small(self, data: bytes) -> Small | None:
        """The picture, if an engine thread may decode it."""
        picture = small_picture(data) if self._config.decodes_small else None
        if picture is None or picture.header.num_pixels > self._config.max_pixels:
            return None
        return picture

    def weight(self, picture: Small | None) -> int:
        """What it weighs, as far as is known before it is decoded."""
        contract = self.bundle.picture
        return 1 if picture is None else contract.weight(picture.bucket_width(contract))

    def warm_up(self) -> None:
        """Read a blank picture of every bucket, alone and in a full batch; blocks.

        Raises:
            EngineError: when the engine can't run here, or wasn't proven.
            WorkersLostError: when processes can't be started.
        """
        blanks = [
            self.pool.submit(Encoded(data=self._blank(w))) for w in self.bundle.picture.widths
        ]
        for blank in blanks:
            [prepared] = blank.result()
            assert isinstance(prepared, Prepared)
            size = self.recognizers[0].batch_size(prepared.pixels.shape[1])
            for recognizer in self.recognizers:
                for count in {1, size}:
                    log_probs_TNC = recognizer.read_batch_pixels(
                        np.stack([prepared.pixels] * count)
                    )
                    recognizer.readings([prepared] * count, log_probs_TNC, self.decoder)

    def _blank(self, width: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("L", (width, self.bundle.picture.height), 255).save(buffer, "PNG")
        return buffer.getvalue()
