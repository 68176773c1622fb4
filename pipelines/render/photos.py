"""Photographs to lay text on: pictures of a folder, small enough to keep many in memory.

Shape suffixes: H height, W width (pixels), C channels (blue, green, red).
"""

from __future__ import annotations

import cv2
import numpy as np

from crnn.errors import DataError
from crnn.kept import Kept
from pipelines.render.fields import Pixels
from pipelines.render.folders import files_below

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_LONGEST_PX = 1024
_LEAST_PX = 32
_KEPT_BYTES = 96 << 20
"""Some thirty large ones, in each process that renders."""


def list_photos(folder: str) -> tuple[str, ...]:
    """Picture files in ``folder`` and the folders within, sorted; none for an empty name.

    Raises:
        DataError: when it is no folder, or has no picture.
    """
    if not folder:
        return ()
    return tuple(map(str, files_below(folder, _SUFFIXES, "picture")))


_photos = Kept[str, Pixels](_KEPT_BYTES)
"""The last used, by their paths."""


def load_photo(path: str) -> Pixels:
    """A photograph ``HWC``, at most 1024 px long.

    Raises:
        DataError: when it can't be read, or is too small to cut a piece from.
    """
    photo_HWC = _photos.get(path)
    if photo_HWC is None:
        photo_HWC = _loaded(path)
        _photos.keep(path, photo_HWC, photo_HWC.nbytes)
    return photo_HWC


def _loaded(path: str) -> Pixels:
    photo_HWC = cv2.imread(path, cv2.IMREAD_COLOR)
    if photo_HWC is None or min(photo_HWC.shape[:2]) < _LEAST_PX:
        raise DataError(
            f"{path} isn't a picture of at least {_LEAST_PX} px a side; remove it from the "
            "backgrounds, or choose another folder"
        )
    scale = _LONGEST_PX / max(photo_HWC.shape[:2])
    if scale < 1:
        photo_HWC = cv2.resize(photo_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(photo_HWC, dtype=np.uint8)
