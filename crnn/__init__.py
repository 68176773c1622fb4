"""A CRNN text recognizer in plain PyTorch: bundle in, pictures in, texts out. Never imports Ray.

    from crnn import Recognizer
    result = Recognizer.load().read("picture.png")  # or load("runs/first/bundle")

The names below are imported when first used, so that ``import crnn`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crnn.bundle.bundle import Bundle, load_bundle, save_bundle
    from crnn.bundle.calibration import Calibration
    from crnn.bundle.transfer import TransferReport, load_matching
    from crnn.errors import BundleError, CrnnError
    from crnn.images.contract import PictureContract
    from crnn.inference.cascade import Cascade
    from crnn.inference.recognizer import Recognizer
    from crnn.model.network import CRNN, ModelConfig
    from crnn.result import CharResult, Result
    from crnn.text.charset import Charset

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
    "bundle.bundle": ("Bundle", "load_bundle", "save_bundle"),
    "bundle.calibration": ("Calibration",),
    "bundle.transfer": ("TransferReport", "load_matching"),
    "errors": ("BundleError", "CrnnError"),
    "images.contract": ("PictureContract",),
    "inference.cascade": ("Cascade",),
    "inference.recognizer": ("Recognizer",),
    "model.network": ("CRNN", "ModelConfig"),
    "result": ("CharResult", "Result"),
    "text.charset": ("Charset",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"crnn.{module}"), name)
    raise AttributeError(f"module 'crnn' has no attribute {name!r}; it has {__all__}")


def __dir__() -> list[str]:
    return __all__
