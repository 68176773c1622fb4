"""A CRNN text recognizer in plain PyTorch: bundle in, pictures in, texts out. Never imports Ray.

    from crnn import Recognizer
    result = Recognizer.load().read("picture.png")  # or load("runs/first/bundle")

The names below are imported when first used, so that ``import crnn`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crnn.bundle import Bundle, load_bundle, save_bundle
    from crnn.calibration import Calibration
    from crnn.cascade import Cascade
    from crnn.charset import Charset
    from crnn.errors import BundleError, CrnnError
    from crnn.image import PictureContract
    from crnn.model import CRNN, ModelConfig
    from crnn.recognizer import Recognizer
    from crnn.result import CharResult, Result
    from crnn.transfer import TransferReport, load_matching

__all__ = [
    "CRNN",
    "Bundle",
    "BundleError",
    "Calibration",
    "Cascade",
    "CharResult",
    "Charset",
    "CrnnError",
    "ModelConfig",
    "PictureContract",
    "Recognizer",
    "Result",
    "TransferReport",
    "load_bundle",
    "load_matching",
    "save_bundle",
]

_HOMES = {
    "bundle": ("Bundle", "load_bundle", "save_bundle"),
    "calibration": ("Calibration",),
    "cascade": ("Cascade",),
    "charset": ("Charset",),
    "errors": ("BundleError", "CrnnError"),
    "image": ("PictureContract",),
    "model": ("CRNN", "ModelConfig"),
    "recognizer": ("Recognizer",),
    "result": ("CharResult", "Result"),
    "transfer": ("TransferReport", "load_matching"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"crnn.{module}"), name)
    raise AttributeError(f"module 'crnn' has no attribute {name!r}; it has {__all__}")


def __dir__() -> list[str]:
    return __all__
