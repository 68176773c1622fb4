"""Any accepted form of a picture → pixels in their bucket, with their geometry.

The recognizer's first step, apart from it so that bulk jobs can run it in other processes
(``crnn.images.sandbox.pool``), which need neither the model nor the storage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnn.brief import brief
from crnn.errors import DataError, PictureError
from crnn.given import File, check_several, file_bytes, is_file
from crnn.images.contract import PictureContract, Pixels, upright
from crnn.images.plain import Header, decode_by, small_header
from crnn.images.region import Region, cut

Picture = str | Path | bytes | bytearray | memoryview | File | Image.Image | NDArray[np.uint8]
"""A path or an address of ``crnn.files.storage``, encoded bytes, a binary file open where they
begin, a Pillow image, or uint8 pixels ``HW`` (grey) or ``HWC`` with three channels (RGB)."""
TALL = 1.5
"""Height over width from which a picture is also prepared turned by 90°."""
_IN_BASE64 = "data:"
_LONGEST_PATH = 4096
"""No store and no file system has longer ones."""
PICTURE_TYPES = (str, Path, bytes, bytearray, memoryview, Image.Image, np.ndarray)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture as the model takes it, and what leads back from there to its own pixels."""

    pixels: Pixels
    """``HWC`` uint8, padded to the bucket width."""
    content_width_px: int
    """Columns of ``pixels``, from the left, that hold the picture."""
    source_width_px: int
    """Width of the upright picture, or of the region cut out of it, before scaling."""
    source_height_px: int
    """Its height."""
    squeezed: bool
    """Whether the picture was longer than the largest bucket."""
    turned: int = 0
    """Degrees clockwise by which it was turned, 90 or 270; sizes are those after turning."""
    sideways_HwC: Pixels | None = None
    """For a ``TALL`` picture: turned by 90° clockwise, scaled, not yet padded."""

    def stretched(self, contract: PictureContract, factor: float) -> Prepared | None:
        """This many times as wide, as far as the widest bucket allows; None where that is no wider.

        Made from the pixels that are there: those of the file are no better (measured).
        """
        before_px = self.content_width_px
        width_px = min(round(before_px * factor), contract.widths[-1])
        if contract.mode == "fixed" or width_px <= before_px:
            return None
        size = (width_px, contract.height)
        content = cv2.resize(self.pixels[:, :before_px], size, interpolation=cv2.INTER_CUBIC)
        shape = contract.height, width_px, contract.channels
        content_HwC = np.asarray(content, dtype=np.uint8).reshape(shape)
        bucket_width = contract.bucket_of(width_px)
        return replace(
            self,
            pixels=contract.pad(content_HwC, bucket_width),
            content_width_px=width_px,
            sideways_HwC=None,
        )

    def turned_both_ways(self, contract: PictureContract) -> list[Prepared]:
        """By 90° clockwise and by 270°; none where it isn't ``TALL``."""
        content_HwC = self.sideways_HwC
        if content_HwC is None:
            return []
        width, height = self.source_height_px, self.source_width_px
        bucket_width = contract.bucket_width(width, height)
        return [
            Prepared(
                pixels=contract.pad(turned_HwC, bucket_width),
                content_width_px=content_HwC.shape[1],
                source_width_px=width,
                source_height_px=height,
                squeezed=contract.is_squeezed(width, height),
                turned=degrees,
            )
            for degrees, turned_HwC in ((90, content_HwC), (270, np.rot90(content_HwC, 2)))
        ]

    def source_px_per_step(self, num_steps: int) -> float:
        """Columns of the source picture (px) that one of ``num_steps`` time steps stands for."""
        columns = self.pixels.shape[1] / num_steps
        return columns * self.source_width_px / self.content_width_px


def prepare(
    picture: Picture, contract: PictureContract, *, region: Region | None = None
) -> Prepared:
    """Read, decode and scale one picture, or one region of it, by ``contract``.

    Raises:
        PictureError: with the reasons of ``crnn.images.contract.decode_picture``, and
        ``not_found``,
            ``unreadable`` (a path), ``empty_picture`` (no pixels), ``unsupported_array`` or
            ``bad_region``.
        TypeError: for something that isn't a picture at all.
    """
    return prepare_upright(open_picture(picture, contract), contract, region=region)


def prepare_upright(
    picture: Pixels, contract: PictureContract, *, region: Region | None = None
) -> Prepared:
    """As ``prepare``, of what ``PictureContract.decode`` gave: for many regions of one picture."""
    if region is not None:
        picture = cut(picture, region)
    check_pixels(picture)
    height, width = picture.shape[:2]
    content_HwC = contract.fit(picture)
    is_tall = height >= TALL * width
    return Prepared(
        pixels=contract.pad(content_HwC, contract.bucket_width(width, height)),
        content_width_px=content_HwC.shape[1],
        source_width_px=width,
        source_height_px=height,
        squeezed=contract.is_squeezed(width, height),
        sideways_HwC=contract.fit(_sideways(picture)) if is_tall else None,
    )


def check_pixels(picture: Pixels) -> None:
    """Raises PictureError, ``empty_picture``, where there are none."""
    height, width = picture.shape[:2]
    if not width or not height:
        raise PictureError("empty_picture", f"the picture is {width}x{height} px")


def _sideways(picture: Pixels) -> Pixels:
    """Turned by 90° clockwise."""
    return np.asarray(cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Small:
    """A small plain picture, which decodes in little time and memory no matter what it holds."""

    data: bytes
    header: Header

    @property
    def decoding_bytes(self) -> int:
        """What decoding goes through, encoded bytes and pixels: a measure of its time."""
        return len(self.data) + self.header.num_pixels

    def bucket_width(self, contract: PictureContract) -> int:
        """Bucket width of the prepared picture, known before decoding."""
        return contract.bucket_width(self.header.width, self.header.height)

    def pixels(self) -> Pixels | None:
        """As ``decode_pixels``; None as ``prepare``."""
        try:
            return decode_by(self.header, self.data, grey=False)
        except Exception:  # as in ``prepare``
            return None

    def prepare(self, contract: PictureContract) -> Prepared | None:
        """As ``prepare``; None if it isn't sound: ``prepare`` the bytes where it does no harm."""
        try:
            picture = contract.decode_by(self.header, self.data)
            return None if picture is None else prepare_upright(picture, contract)
        except Exception:  # no memory, perhaps: preparing it later will tell
            return None


def small_picture(data: bytes) -> Small | None:
    """None for any other, which may take much time or memory."""
    header = small_header(data)
    return None if header is None else Small(data, header)


def is_picture(pictures: object) -> TypeGuard[Picture]:
    """Whether this is one picture rather than many: a file isn't many lines.

    Raises:
        TypeError: for what is neither.
    """
    if isinstance(pictures, PICTURE_TYPES) or is_file(pictures):
        return True
    check_several(pictures)
    return False


def open_picture(picture: Picture, contract: PictureContract) -> Pixels:
    """The whole picture; raises as ``prepare``."""
    if is_encoded(picture):
        return contract.decode(picture_bytes(picture))
    return upright_picture(cast("Image.Image | NDArray[np.uint8]", picture))


def is_encoded(picture: Picture) -> bool:
    """Whether there are bytes to decode, rather than pixels."""
    return isinstance(picture, (str, Path, bytes, bytearray, memoryview)) or is_file(picture)


def picture_bytes(picture: Picture) -> bytes:
    """The bytes of a picture that ``is_encoded``; raises as ``prepare``."""
    if isinstance(picture, (str, Path)):
        return _read(picture)
    return file_bytes(picture) if is_file(picture) else bytes(cast(bytes, picture))


def upright_picture(picture: Image.Image | NDArray[np.uint8]) -> Pixels:
    """The pixels of a picture that is decoded already; raises as ``prepare``."""
    if isinstance(picture, Image.Image):
        return _loaded(picture)
    if isinstance(picture, np.ndarray):
        return _checked(picture)
    raise TypeError(
        "a picture must be a path, bytes, a PIL image or a uint8 array, not "
        f"{type(picture).__name__}"
    )


def _read(path: str | Path) -> bytes:
    from crnn.files import storage  # pyarrow and boto3, which a process that decodes doesn't need

    if str(path).startswith(_IN_BASE64):
        raise PictureError(
            "not_found",
            f"{brief(str(path))} is a picture in base64, not an address; give its bytes, as "
            "base64.b64decode makes them of what stands behind the comma",
        )
    if len(str(path)) > _LONGEST_PATH:
        raise PictureError("not_found", f"no file at {brief(str(path))}: the name is too long")
    try:
        return storage.read_bytes(str(path))
    except FileNotFoundError as error:
        raise PictureError("not_found", f"no file at {str(path)!r}") from error
    except (DataError, OSError, ValueError) as error:
        raise PictureError("unreadable", f"can't read {str(path)!r}: {error}") from error


def _loaded(image: Image.Image) -> Pixels:
    try:
        image.load()
        pixels = np.asarray(upright(image))
    except PictureError:
        raise
    except Exception as error:  # a lazily opened file fails here, with almost anything
        raise PictureError("undecodable", f"not a readable picture: {error}") from error
    if not pixels.size:
        raise PictureError("empty_picture", f"the picture is {image.width}x{image.height} px")
    return pixels


def _checked(pixels: NDArray[np.uint8]) -> Pixels:
    right_shape = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not right_shape:
        raise PictureError(
            "unsupported_array",
            f"the array is {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape "
            "(height, width) or (height, width, 3)",
        )
    if not pixels.size:
        raise PictureError("empty_picture", f"the array has no pixels: shape {pixels.shape}")
    return pixels
