"""Any accepted form of a picture → encoded bytes, gathered into requests of bounded size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from crnn.errors import PictureError
from crnn.given import at_home, check_several, file_bytes, is_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from crnn.images.prepare import Picture

REQUEST_PICTURES = 16
REQUEST_BYTES = 4 << 20
"""Bounds of one request; a picture larger than this goes alone."""
_ONE_PICTURE = (str, Path, bytes, bytearray, memoryview)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One picture as it is sent, or why it isn't."""

    data: bytes = b""
    error: PictureError | None = None


def is_picture(pictures: object) -> bool:
    """Whether this is one picture rather than many: a file isn't many lines.

    Raises:
        TypeError: for what is neither.
    """
    if is_file(pictures):
        return True
    if isinstance(pictures, (*_ONE_PICTURE, list, tuple)):
        return not isinstance(pictures, (list, tuple))
    from crnn.images.prepare import PICTURE_TYPES  # Pillow and NumPy, which files don't need

    is_one = isinstance(pictures, PICTURE_TYPES)
    if not is_one:
        check_several(pictures)
    return is_one


def uploads(pictures: Iterable[Picture]) -> Iterator[list[Upload]]:
    """The pictures in their order, in lists that make one request each.

    Raises:
        TypeError: for something that is no picture at all.
    """
    batch: list[Upload] = []
    num_bytes = 0
    for picture in pictures:
        one = upload(picture)
        full = len(batch) == REQUEST_PICTURES or num_bytes + len(one.data) > REQUEST_BYTES
        if batch and full:
            yield batch
            batch, num_bytes = [], 0
        batch.append(one)
        num_bytes += len(one.data)
    if batch:
        yield batch


def upload(picture: Picture) -> Upload:
    """One picture; TypeError for something that is none at all."""
    try:
        if isinstance(picture, (str, Path)):
            return Upload(data=_read(picture))
        if isinstance(picture, (bytes, bytearray, memoryview)):
            return Upload(data=bytes(picture))
        if is_file(picture):
            return Upload(data=file_bytes(picture))
        return Upload(data=_png(cast("Image.Image | NDArray[np.uint8]", picture)))
    except PictureError as error:
        return Upload(error=error)


def _read(path: str | Path) -> bytes:
    """The file's bytes; an address of an object store is read here, never by the service."""
    try:
        if "://" in str(path):
            from crnn.files import storage  # pyarrow, which files of this machine don't need

            return storage.read_bytes(str(path))
        return Path(at_home(str(path))).read_bytes()
    except FileNotFoundError as error:
        raise PictureError("not_found", f"no file at {str(path)!r}") from error
    except PictureError:
        raise
    except Exception as error:  # of any store
        raise PictureError("unreadable", f"can't read {str(path)!r}: {error}") from error


def _png(picture: Image.Image | NDArray[np.uint8]) -> bytes:
    """A Pillow image or an array, upright as the recognizer takes it, without loss."""
    from PIL import Image

    from crnn.images.prepare import upright_picture

    file = io.BytesIO()
    Image.fromarray(upright_picture(picture)).save(file, "PNG", compress_level=1)
    return file.getvalue()
