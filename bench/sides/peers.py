"""Other recognizers that ours is measured against, each in one thread and fed many pictures.

RapidOCR is ``pip install rapidocr==3.10.0``, Tesseract Debian's ``tesseract-ocr``.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BGR = NDArray[np.uint8]
_LINE_HEIGHT_PX = 48
_MARGIN_PX = 10


class RapidRecognizer:
    """RapidOCR with the models that it brings along: its recognition step, or all of it."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        self._engine: Any = RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.log_level": "error",
            }
        )
        blank = np.full((32, 64, 3), 255, np.uint8)
        self._engine(blank, use_det=False, use_cls=False, use_rec=True)  # loads its model

    def read(self, pictures: Sequence[BGR]) -> list[str]:
        """The text of each picture."""
        from rapidocr.ch_ppocr_rec import TextRecInput

        return list(self._engine.text_rec(TextRecInput(img=list(pictures))).txts)

    def read_page(self, page: BGR) -> list[str]:
        """The lines of a whole page, by all of its steps as they come."""
        found = self._engine(page, use_det=True, use_cls=True, use_rec=True)
        return list(found.txts or ())


def rapidocr_version() -> str:
    """``RapidOCR 3.10.0``."""
    return f"RapidOCR {importlib.metadata.version('rapidocr')}"


def tesseract_version() -> str:
    """``Tesseract 5.3.0``."""
    command = ["tesseract", "--version"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "Tesseract " + text.split()[1].removeprefix("v")


def tesseract(pictures: Sequence[bytes], *, lines: bool) -> tuple[list[str], float]:
    """The text of each encoded picture, and the CPU seconds of the one process that read all.

    A page is a word, given as it is, or a line: brought to 48 px and with a margin of 10 px in
    the colours of its edge, with which Tesseract reads more lines right, and fewer words.
    """
    framed = [with_margin(data) for data in pictures] if lines else pictures
    texts, cpu_s = tesseract_pages(framed, psm=7 if lines else 8)
    return [" ".join(text.split()) for text in texts], cpu_s


def tesseract_pages(pictures: Sequence[bytes], *, psm: int = 3) -> tuple[list[str], float]:
    """The text of each encoded picture with its line ends, and the CPU seconds of the one process
    that read all; ``psm`` is Tesseract's mode of segmentation, 3 for whole pages."""
    with tempfile.TemporaryDirectory(prefix="tesseract-") as name:
        folder = Path(name)
        files = [folder / f"{number:07d}" for number in range(len(pictures))]
        for file, data in zip(files, pictures, strict=True):
            file.write_bytes(data)
        (folder / "list.txt").write_text("".join(f"{file}\n" for file in files))
        command = ["tesseract", str(folder / "list.txt"), str(folder / "out")]
        command += ["-l", "eng", "--psm", str(psm)]
        before_s = _children_cpu_s()
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=environment)
        cpu_s = _children_cpu_s() - before_s
        texts = (folder / "out.txt").read_text(encoding="utf-8").split("\f")  # between pages
    if len(texts) != len(pictures):
        raise RuntimeError(
            f"tesseract wrote {len(texts)} pages for {len(pictures)} pictures; it skips pictures "
            "that it can't open: leave them out"
        )
    return texts, cpu_s


def with_margin(data: bytes) -> bytes:
    """A picture of a line as a PNG of 48 px with its edge's colours around it."""
    image = bgr(data)
    width = max(1, round(image.shape[1] * _LINE_HEIGHT_PX / image.shape[0]))
    scaled = cv2.resize(image, (width, _LINE_HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    margins = (_MARGIN_PX,) * 4
    framed = cv2.copyMakeBorder(scaled, *margins, cv2.BORDER_REPLICATE)
    return cv2.imencode(".png", framed)[1].tobytes()


def bgr(data: bytes) -> BGR:
    """An encoded picture as OpenCV decodes it, for programs that expect that."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"OpenCV can't decode a picture that begins with {data[:8]!r}")
    return image


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
