"""Bundle + pictures → results. What bulk jobs, the service and a notebook all call.

A batch holds pictures of one bucket only, so that a picture's text and confidence don't depend
on its batch mates. Shape suffixes: N pictures, H height, W bucket width, C channels (of pixels)
or classes (of log_probs), T time steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import torch

from crnn.brief import brief
from crnn.bundle.bundle import Bundle, load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.decode import CharNgram, DecodedColumns, Decoder, build_decoder
from crnn.engines import AUTO, BATCH_PIXELS, build_engine, engine_for
from crnn.engines.graph import Engine
from crnn.errors import PictureError
from crnn.images.contract import Pixels
from crnn.images.prepare import Picture, Prepared, is_picture, prepare
from crnn.inference.readings import Readings, in_order
from crnn.pages.page import DPI, PageRequest
from crnn.result import Result

if TYPE_CHECKING:
    from crnn.pages.detector import Detector
    from crnn.pages.lines import Line


class Recognizer:
    """A bundle in one engine, reading pictures in batches of about ``batch_pixels``.

    The engine is built when the first batch is read: a recognizer costs nothing until then, and
    may travel to another process.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: torch.device | str = "cpu",
        batch_pixels: int = BATCH_PIXELS,
        engine: str = AUTO,
        threads: int | None = None,
    ) -> None:
        """``engine`` and ``threads`` as for ``crnn.engines.build_engine``."""
        if batch_pixels < 1:
            raise ValueError(f"batch_pixels is {batch_pixels}; expected at least 1")
        if not isinstance(bundle, Bundle):
            raise TypeError(
                f"bundle is {brief(bundle)}; expected a Bundle: Recognizer.load reads the one in a "
                "folder"
            )
        self.bundle = bundle
        self.device = torch.device(device)
        self.batch_pixels = batch_pixels
        self.engine = engine_for(engine, bundle, self.device)
        self.threads = threads
        self._detector: Detector | None = None

    @classmethod
    def load(
        cls,
        uri: Path | str | None = None,
        *,
        device: torch.device | str = "cpu",
        batch_pixels: int = BATCH_PIXELS,
        engine: str = AUTO,
        threads: int | None = None,
    ) -> Recognizer:
        """The recognizer of a bundle's folder or address; by default, of the included bundle.

        Raises:
            BundleError: as ``load_bundle`` and ``default_bundle``.
        """
        return cls(
            load_bundle(default_bundle() if uri is None else uri),
            device=device,
            batch_pixels=batch_pixels,
            engine=engine,
            threads=threads,
        )

    @overload
    def read(  # type: ignore[overload-overlap]  # str and bytes are iterable too, and one picture
        self,
        pictures: Picture,
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> Result: ...
    @overload
    def read(
        self,
        pictures: Iterable[Picture],
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> list[Result]: ...
    def read(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        decoder: str | Decoder | None = None,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
        chars: bool = True,
    ) -> Result | list[Result]:
        """Read one picture into a ``Result``, or any iterable of them into a list in its order.

        A picture that can't be read, a missing file included (``not_found``), gives a result
        with ``error_code`` and ``error_message``, alone as in a list; its neighbours are read.

        Args:
            pictures: see ``crnn.images.prepare.Picture``.
            decoder: a name of ``crnn.decode.DECODERS``, or a decoder already built; by default
                ``lexicon`` or ``beam`` where that argument is given, else the bundle's.
            lexicon: the words allowed, for the lexicon decoder.
            ngram: a character language model, for the beam decoder.
            chars: whether to report each character's probability and position.

        Raises:
            ValueError: for an unknown decoder, or arguments that it doesn't take.
            TypeError: for something that isn't a picture at all.
        """
        decode = self.decoder(decoder, lexicon=lexicon, ngram=ngram)
        if is_picture(pictures):
            return self._read([pictures], decode, chars)[0]
        return self._read(cast(Iterable[Picture], pictures), decode, chars)

    def read_page(
        self,
        page: Picture,
        *,
        detector: Detector | None = None,
        number: int = 1,
        dpi: int = DPI,
        decoder: str | Decoder | None = None,
        chars: bool = True,
    ) -> list[Line]:
        """The lines of a whole page in reading order; none where there is no text.

        Args:
            page: see ``crnn.images.prepare.Picture``; also a PDF, with the extra ``pages``.
            detector: finds the text; by default that of the installed package ``rapidocr``.
            number: which page of a PDF or a TIFF, from 1 on.
            dpi: resolution at which a PDF is drawn.
            decoder: as for ``read``.
            chars: whether to report each character's probability and place.

        Raises:
            PictureError: as ``prepare`` and ``crnn.pages.opening.open_page``.
            DataError: when no detector is given and the package isn't installed.
        """
        from crnn.pages.lines import pixels_of, read_lines

        pixels = pixels_of(page, PageRequest(number=number - 1, dpi=dpi))
        detector = detector or self.default_detector()
        return read_lines(pixels, detector, self, self.decoder(decoder), chars=chars)

    def default_detector(self) -> Detector:
        """That of the installed package ``rapidocr``, loaded once; DataError as ``read_page``."""
        from crnn.pages.db import DbDetector
        from crnn.pages.graph import detector_graph

        self._detector = self._detector or DbDetector(graph=detector_graph())
        return self._detector

    def decoder(
        self,
        decoder: str | Decoder | None = None,
        *,
        lexicon: Sequence[str] | None = None,
        ngram: CharNgram | None = None,
    ) -> Decoder:
        """The decoder that ``read`` uses for these arguments; build it once for many calls."""
        if callable(decoder):
            if lexicon is not None or ngram is not None:
                raise ValueError(
                    "a decoder that is built already takes neither lexicon nor "
                    "ngram; give its name instead"
                )
            return decoder
        implied = "lexicon" if lexicon is not None else "beam" if ngram is not None else None
        return build_decoder(
            decoder or implied or self.bundle.decoder,
            lexicon=lexicon,
            ngram=ngram,
            fusion=self.bundle.fusion,
        )

    def read_batch_pixels(self, pixels_NHWC: Pixels) -> torch.Tensor:
        """``log_probs_TNC`` (float32, on the CPU) of uint8 pictures of one bucket.

        Raises:
            EngineError: when the engine chosen by name can't run here, or wasn't proven.
        """
        return self._run(pixels_NHWC)

    @cached_property
    def _run(self) -> Engine:
        return build_engine(self.engine, self.bundle, device=self.device, threads=self.threads)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_run"}

    def error(self, error: PictureError) -> Result:
        """The result of a picture that can't be read."""
        return Readings.failed([error], self.bundle.digest).results()[0]

    def read_prepared(
        self,
        pictures: Iterable[Prepared | PictureError],
        decode: Decoder,
        *,
        chars: bool = True,
    ) -> Readings:
        """As ``read``, for pictures that ``prepare`` made, or couldn't make, elsewhere.

        A batch is read as soon as its bucket has enough, while other pictures are still to come.
        What the bundle's reading policy has read again waits with the others of its bucket, so
        that those batches are full too.
        """
        reading = self.batches(decode, chars=chars)
        failed: dict[int, PictureError] = {}
        for index, picture in enumerate(pictures):
            if isinstance(picture, PictureError):
                failed[index] = picture
            else:
                reading.add(index, picture)
        parts = reading.finish()
        if failed:
            nothing = Readings.failed(list(failed.values()), self.bundle.digest)
            parts.append((list(failed), nothing))
        return in_order(parts)

    def batches(self, decode: Decoder, *, chars: bool = True) -> Batches:
        """What ``read_prepared`` reads with, for pictures that come one by one."""
        return Batches(self, decode, chars)

    def again(self, first: Prepared, log_probability: float) -> list[Prepared]:
        """What else of a picture the bundle has read, after its first reading."""
        return self.bundle.reading.again(first, log_probability, self.bundle.picture)

    def batch_size(self, width_px: int) -> int:
        """Pictures of a bucket's width that make about ``batch_pixels``."""
        return max(1, self.batch_pixels // (width_px * self.bundle.picture.height))

    def _read(self, pictures: Iterable[Picture], decode: Decoder, chars: bool) -> list[Result]:
        return self.read_prepared(map(self.prepared, pictures), decode, chars=chars).results()

    def prepared(self, picture: Picture) -> Prepared | PictureError:
        """As the bundle takes it, or why that can't be; TypeError as ``prepare``."""
        try:
            return prepare(picture, self.bundle.picture)
        except PictureError as error:
            return error

    def readings(
        self,
        prepared: Sequence[Prepared],
        log_probs_TNC: torch.Tensor,
        decode: Decoder,
        *,
        chars: bool = True,
    ) -> Readings:
        """What one batch's prepared pictures read, in their order; each as if read once."""
        decoded = DecodedColumns.of(decode(log_probs_TNC, self.bundle.charset))
        if len(decoded) != len(prepared):
            raise ValueError(f"the decoder gave {len(decoded)} texts for {len(prepared)} pictures")
        num_steps = log_probs_TNC.shape[0]
        texts = decoded.texts()
        if not chars:
            decoded = decoded.without_characters()
        counts = np.diff(decoded.bounds)
        px = np.repeat([picture.source_px_per_step(num_steps) for picture in prepared], counts)
        last_x = np.repeat([float(picture.source_width_px) for picture in prepared], counts)
        calibrate = self.bundle.calibration.apply
        is_empty = np.array([not text for text in texts], dtype=np.bool_)
        log_probabilities = np.where(is_empty, -np.inf, decoded.log_probabilities)
        return Readings(
            texts=texts,
            confidences=np.array([calibrate(one) for one in log_probabilities.tolist()]),
            log_probabilities=log_probabilities,
            squeezed=np.array([picture.squeezed for picture in prepared], dtype=np.bool_),
            turned=np.array([picture.turned for picture in prepared], dtype=np.int16),
            code_points=decoded.code_points,
            probabilities=decoded.char_probabilities,
            x0=np.minimum(decoded.first * px, last_x),
            x1=np.minimum(decoded.end * px, last_x),
            bounds=decoded.bounds,
            models=[self.bundle.digest] * len(texts),
        )


class Batches:
    """Pictures on their way: waiting by bucket, read in full batches."""

    def __init__(self, recognizer: Recognizer, decode: Decoder, chars: bool) -> None:
        self._recognizer, self._decode, self._chars = recognizer, decode, chars
        self._waiting: dict[int, list[tuple[int, Prepared, bool]]] = {}
        """By bucket: number, picture, and whether it is its first reading."""
        self._parts: list[tuple[Sequence[int], Readings]] = []
        """A picture's first reading comes before its others."""

    def add(self, number: int, picture: Prepared, *, is_first: bool = True) -> None:
        """Let it wait; a bucket that is full now is read."""
        width = picture.pixels.shape[1]
        bucket = self._waiting.setdefault(width, [])
        bucket.append((number, picture, is_first))
        if len(bucket) == self._recognizer.batch_size(width):
            self._read(width)

    def finish(self) -> list[tuple[Sequence[int], Readings]]:
        """All that was read, for ``in_order``; what is left is read in smaller batches."""
        while self._waiting:  # the narrowest first: what is read again is wider
            self._read(min(self._waiting))
        return self._parts

    def _read(self, width: int) -> None:
        batch = self._waiting.pop(width)
        pictures = [picture for _, picture, _ in batch]
        log_probs_TNC = self._recognizer.read_batch_pixels(np.stack([p.pixels for p in pictures]))
        readings = self._recognizer.readings(
            pictures, log_probs_TNC, self._decode, chars=self._chars
        )
        self._parts.append(([number for number, _, _ in batch], readings))
        log_probabilities = readings.log_probabilities.tolist()
        for (number, picture, is_first), found in zip(batch, log_probabilities, strict=True):
            for again in self._recognizer.again(picture, found) if is_first else ():
                self.add(number, again, is_first=False)
