"""Packages that carry a CTC recognizer as an ONNX graph, and how each of them prepares pictures.

Nothing of theirs is here: the user's own pip fetches them. What is stated of a package was read in
its own code, and is proven against that code when it is imported.
"""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from crnn.bundle.importing.rewrite import Normalisation
from crnn.errors import DataError
from crnn.images.contract import PictureContract

Reader = Callable[[bytes], "str | None"]
"""The package's own code: encoded bytes → text; None for what it can't read."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that is known here."""

    graph: str
    """Its ONNX file, by its path among the installed ones."""
    licence: str
    """Licence of the weights, as the package states it."""
    made_by: str
    picture: PictureContract
    normalisation: Normalisation
    blank: Literal["", "first", "last"] = ""
    """Empty: it is found out."""
    characters: tuple[str, ...] = ()
    """Empty: they are in the graph's metadata."""
    without: str = ""
    """Characters that its own code never writes."""
    reader: Callable[[], Reader]
    """Builds what reads as the package does; raises ImportError without it."""


@dataclass(frozen=True, kw_only=True)
class FoundGraph:
    """A graph to import, from a file or a package."""

    data: bytes
    source: str
    package: Package | None = None


def _paddle_reader(build: Callable[[], Callable[[Any], str]]) -> Reader:
    read = build()

    def run(data: bytes) -> str | None:
        picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
        return None if picture is None else read(picture)

    return run


def _rapidocr() -> Reader:
    def build() -> Callable[[Any], str]:
        typings = importlib.import_module("rapidocr.ch_ppocr_rec.typings")
        whole = importlib.import_module("rapidocr").RapidOCR()
        recognizer = whole._load_rec_model()  # its recognizer alone, loaded when first used
        return lambda picture: str(recognizer(typings.TextRecInput(img=picture)).txts[0])

    return _paddle_reader(build)


def _rapidocr_onnxruntime() -> Reader:
    def build() -> Callable[[Any], str]:
        whole = importlib.import_module("rapidocr_onnxruntime").RapidOCR()
        return lambda picture: str(whole.text_rec(picture)[0][0][0])

    return _paddle_reader(build)


def _captcha_whisperer() -> Reader:
    module = importlib.import_module("captcha_whisperer.recognizer")
    recognizer = module.CaptchaRecognizer()
    return lambda data: str(recognizer.recognize_bytes(data)["text"])


_PADDLE_PICTURE = PictureContract(
    height=48,
    channels=3,
    widths=(320, 384, 448, 512, 640, 768, 1024, 1280, 1536, 2048, 3072),
    shrinking="linear",
    rounding="up",
)
"""Never padded to less than 320 px, as their own code does."""
_PADDLE = Normalisation(order="bgr")

PACKAGES: dict[str, Package] = {
    "rapidocr": Package(
        graph="rapidocr/models/PP-OCRv6_rec_small.onnx",
        licence="Apache-2.0",
        made_by="PP-OCRv6 of PaddleOCR, converted by RapidOCR",
        picture=_PADDLE_PICTURE,
        normalisation=_PADDLE,
        reader=_rapidocr,
    ),
    "rapidocr-onnxruntime": Package(
        graph="rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        licence="Apache-2.0",
        made_by="PP-OCRv4 of PaddleOCR, converted by RapidOCR",
        picture=_PADDLE_PICTURE,
        normalisation=_PADDLE,
        reader=_rapidocr_onnxruntime,
    ),
    "captcha-whisperer": Package(
        graph="captcha_whisperer/models/captcha_crnn.onnx",
        licence="MIT",
        made_by="captcha-whisperer",
        picture=PictureContract(
            height=60, channels=3, mode="fixed", widths=(160,), shrinking="area"
        ),
        normalisation=Normalisation(order="bgr", mean=(0.0,), std=(1 / 255,)),
        blank="last",
        characters=tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_"),
        without="0",
        reader=_captcha_whisperer,
    ),
}

REFUSED = {
    "rapidocrlite": "its graphs take each picture's width beside the picture and give class ids in "
    "place of scores, and what prepares pictures for them is a compiled library. Its weights' "
    "licence (modified OpenRAIL-M) limits who may use them, and covers what they write, so what a "
    "student learns too",
}
"""Packages that are asked for and can't be imported, and why."""


def find(source: str) -> FoundGraph:
    """The graph of a package that is installed, of its wheel (a file), or of an ONNX file.

    Raises:
        DataError: when there is none.
    """
    path = Path(source)
    name = path.name.split("-")[0].replace("_", "-") if path.suffix == ".whl" else source
    if name in REFUSED:
        raise DataError(
            f"{name} can't be imported: {REFUSED[name]}. Import another: {sorted(PACKAGES)}"
        )
    if path.suffix == ".whl":
        return _in_wheel(path)
    if source in PACKAGES:
        return _installed(source)
    from crnn.files import storage

    try:
        return FoundGraph(data=storage.read_bytes(source), source=path.name)
    except FileNotFoundError:
        raise DataError(
            f"there is no file {source!r}; give an ONNX file, or one of the packages "
            f"{sorted(PACKAGES)}"
        ) from None


def _installed(name: str) -> FoundGraph:
    package = PACKAGES[name]
    try:
        there = distribution(name)
    except PackageNotFoundError:
        raise DataError(f"the package {name!r} isn't installed; run: pip install {name}") from None
    file = Path(str(there.locate_file(package.graph)))
    if not file.is_file():
        raise DataError(
            f"{name} {there.version} has no {package.graph}; install another version, or give the "
            "ONNX file itself"
        )
    source = f"{name} {there.version}, {package.graph} ({package.made_by})"
    return FoundGraph(data=file.read_bytes(), source=source, package=package)


def _in_wheel(path: Path) -> FoundGraph:
    distribution_name, version = (*path.name.split("-"), "")[:2]
    name = distribution_name.replace("_", "-")
    package = PACKAGES.get(name)
    if package is None:
        raise DataError(f"{path} is a wheel of {name!r}; expected one of {sorted(PACKAGES)}")
    try:
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(package.graph)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} isn't a wheel with {package.graph}: {error}") from error
    source = f"{name} {version}, {package.graph} ({package.made_by})"
    return FoundGraph(data=data, source=source, package=package)
