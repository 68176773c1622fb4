"""Picture → tensor: the only owner of how a picture reaches the model.

Training, bulk recognition and serving all call ``PictureContract``; a picture that is decoded is
an array from then on.
What happens to a picture depends on that picture alone, never on its batch mates.

Shape suffixes: N pictures, C channels, H height, W bucket width, w content width (pixels).
"""

from __future__ import annotations

import ctypes
import io
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from crnn.errors import PictureError
from crnn.images.colours import in_colours
from crnn.images.high_depth import grey_of_8_bits, in_full_depth, stated_max
from crnn.images.plain import Header, decode_by, decode_plain
from crnn.images.transparency import opaque

if TYPE_CHECKING:
    import torch

PAD_GREY = 127
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
"""All that is decoded: bytes never choose another of Pillow's plugins (EPS runs Ghostscript).
``JPEG`` takes MPO, ``PPM`` the whole Netpbm family."""
Pixels = NDArray[np.uint8]
"""A whole picture, upright and opaque: ``HW`` (grey) or ``HWC`` (RGB)."""
_PILLOW_MODULES = r"PIL\."
_SHRINKING = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}
_ROUNDING: Mapping[str, Callable[[float], int]] = {"nearest": round, "up": math.ceil}
LATER_SETTINGS = frozenset({"padding", "shrinking", "rounding", "stretch"})
"""Settings of a picture contract that bundles state only if they differ from the former fixed
ones."""
_NO_MEMORY = ("out of memory", "decoder error -9")
"""How Pillow says that a decoder written in C got no memory."""
_ON_ITS_SIDE = (5, 6, 7, 8)
"""EXIF orientations of pictures that are turned by 90°."""
_JFIF_LENGTHS = (1, 2)
"""Its units of density that are lengths: inch and cm."""
_LEAST_DPI = 10.0
"""Files say 1 where the resolution is unknown."""


@dataclass(frozen=True, kw_only=True)
class PictureContract:
    """How pictures become tensors; stored in the bundle and obeyed everywhere."""

    height: int = 32
    """Height that every picture is scaled to, px."""
    channels: Literal[1, 3] = 1
    """Colour channels: 1 is grey, 3 is RGB."""
    mode: Literal["bucket", "fixed"] = "bucket"
    """``bucket`` keeps the aspect and pads to the next bucket width; ``fixed`` stretches to one
    width."""
    widths: tuple[int, ...] = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
    """Bucket widths, px, ascending; exactly one with ``fixed``. The default ones hold lines up to
    64 times as wide as high."""
    padding: int = PAD_GREY
    """Grey value, 0 (black) to 255, that fills a picture on the right up to its bucket's width."""
    shrinking: Literal["area", "linear"] = "area"
    """How larger pictures are scaled down: ``area`` averages all pixels that become one,
    ``linear`` interpolates between the nearest four, as many imported recognizers were trained."""
    rounding: Literal["nearest", "up"] = "nearest"
    """How the scaled width is rounded to whole pixels."""
    stretch: float = 1.0
    """Factor by which ``bucket`` mode widens pictures after scaling them with their aspect kept.
    Above 1, narrow letters get more time steps, at proportionally more computing."""

    def __post_init__(self) -> None:
        if self.height < 8:
            raise ValueError(f"height is {self.height}; expected at least 8 px")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}; expected 1 (grey) or 3 (RGB)")
        if self.mode not in ("bucket", "fixed"):
            raise ValueError(f"mode is {self.mode!r}; expected 'bucket' or 'fixed'")
        if not self.widths or list(self.widths) != sorted(set(self.widths)) or self.widths[0] < 8:
            raise ValueError(f"widths are {self.widths}; expected distinct ascending px, from 8 up")
        if self.mode == "fixed" and len(self.widths) != 1:
            raise ValueError(f"fixed mode has one width, not {len(self.widths)}: {self.widths}")
        if not 0 <= self.padding <= 255:
            raise ValueError(f"padding is {self.padding}; expected a grey of 0 to 255")
        if self.shrinking not in _SHRINKING:
            raise ValueError(f"shrinking is {self.shrinking!r}; expected one of {[*_SHRINKING]}")
        if self.rounding not in _ROUNDING:
            raise ValueError(f"rounding is {self.rounding!r}; expected one of {[*_ROUNDING]}")
        if not 0.25 <= self.stretch <= 4:
            raise ValueError(f"stretch is {self.stretch}; expected a multiple, 0.25 to 4")
        if self.mode == "fixed" and self.stretch != 1:
            raise ValueError(f"stretch is {self.stretch}; fixed mode has one width, leave it at 1")

    def stated(self) -> dict[str, Any]:
        """Its settings as ``bundle.json`` has them, by which a bundle is known too: those that were
        added later only where they are another than they always were."""
        usual = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in LATER_SETTINGS or value != usual[name]
        }

    def bucket_width(self, width_px: int, height_px: int) -> int:
        """The padded width of a picture of this size; the largest bucket if it is longer."""
        return self.bucket_of(self.natural_width(width_px, height_px))

    def bucket_of(self, content_width_px: int) -> int:
        """The padded width of a picture that is scaled already; the largest bucket if longer."""
        return next((w for w in self.widths if w >= content_width_px), self.widths[-1])

    def weight(self, bucket_width: int) -> int:
        """How many words of four heights cost about as much as a picture of this bucket."""
        return max(1, math.ceil(bucket_width / (4 * self.height)))

    def natural_width(self, width_px: int, height_px: int) -> int:
        """The width at the contract's height, ``stretch`` included; the width itself if fixed."""
        if self.mode == "fixed":
            return self.widths[0]
        whole = _ROUNDING[self.rounding]
        return max(1, whole(width_px * self.height * self.stretch / max(1, height_px)))

    def is_squeezed(self, width_px: int, height_px: int) -> bool:
        """Whether a picture of this size is longer than the largest bucket, so squeezed to it."""
        return self.natural_width(width_px, height_px) > self.widths[-1]

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
        """``decode_pixels`` as the model reads them: of a JPEG the luma alone, if that is grey."""
        return decode_pixels(data, grey=self.channels == 1, max_pixels=max_pixels)

    def decode_by(self, header: Header, data: bytes) -> Pixels | None:
        """As ``decode``, of a plain picture whose header is known; None if it isn't sound."""
        return decode_by(header, data, grey=self.channels == 1)

    def fit(self, picture: Pixels) -> Pixels:
        """Scaled pixels ``HwC`` (uint8), before padding."""
        pixels = in_colours(picture, self.channels)
        width = min(self.natural_width(pixels.shape[1], pixels.shape[0]), self.widths[-1])
        if self.stretch != 1 and self.shrinking == "area":
            pixels = _averaged(pixels, width, self.height)
        shrinking = pixels.shape[0] > self.height or pixels.shape[1] > width
        how = _SHRINKING[self.shrinking] if shrinking else cv2.INTER_LINEAR
        scaled = cv2.resize(pixels, (width, self.height), interpolation=how)
        return np.ascontiguousarray(scaled, dtype=np.uint8).reshape(
            self.height, width, self.channels
        )

    def pad(self, content_HwC: Pixels, bucket_width: int) -> Pixels:
        """``content_HwC`` laid at the left of a grey canvas ``HWC`` of the bucket's width."""
        height, width, channels = content_HwC.shape
        canvas = np.full((height, bucket_width, channels), self.padding, dtype=np.uint8)
        canvas[:, :width] = content_HwC
        return canvas


def _averaged(pixels: Pixels, width: int, height: int) -> Pixels:
    """No wider and no higher than this: OpenCV averages only where neither side grows."""
    size = min(width, pixels.shape[1]), min(height, pixels.shape[0])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def decode_picture(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """As ``decode_pixels``, as a Pillow image in mode ``L`` or ``RGB``."""
    pixels = decode_plain(data, grey=False, max_pixels=max_pixels)
    return _by_pillow(data, max_pixels) if pixels is None else Image.fromarray(pixels)


def decode_pixels(data: bytes, *, grey: bool = False, max_pixels: int = MAX_PIXELS) -> Pixels:
    """A picture in one of ``FORMATS``, upright and opaque. The first frame.

    ``grey`` takes the luma of a JPEG as it is, without a way over RGB, so that all agree on pixels;
    what else has colours keeps them.

    The size in the header is checked before any pixel is decoded. What else hostile bytes can take
    is bounded where it matters by decoding in ``crnn.images.sandbox.pool``. JPEGs are decoded in
    full, never at the reduced size that their decoder offers, whose pixels differ.

    Raises:
        PictureError: ``empty_file``, ``undecodable``, ``too_large``, ``out_of_memory`` or
            ``non_finite_pixels``.
    """
    pixels = decode_plain(data, grey=grey, max_pixels=max_pixels)
    return np.asarray(_by_pillow(data, max_pixels)) if pixels is None else pixels


class StatedSize(NamedTuple):
    """What a picture's header says of its size."""

    width: int
    """Upright, px."""
    height: int
    dpi: tuple[float, float] | None
    """Across and down; None where it says nothing, or what can't be."""


def stated_size(file: IO[bytes]) -> StatedSize:
    """Size and resolution by the header; nothing is decoded.

    Raises:
        PictureError: ``undecodable`` or ``out_of_memory``.
    """
    _hush_pillow()
    try:
        with Image.open(file, formats=_formats()) as image:
            (width, height), dpi = image.size, _stated_dpi(image)
            on_its_side = image.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise _undecodable(error) from error
    if on_its_side:
        width, height, dpi = height, width, dpi[::-1]
    is_known = all(_LEAST_DPI <= value < math.inf for value in dpi)
    return StatedSize(width, height, dpi if is_known else None)


def _stated_dpi(image: Image.Image) -> tuple[float, float]:
    """Zeros where the header says none: Pillow makes 72 of that in JPEGs with EXIF."""
    stated = image.info.get("dpi")
    is_jfif = image.info.get("jfif_unit") in _JFIF_LENGTHS
    is_exif = ExifTags.Base.XResolution in image.getexif()
    if not stated or (image.format in ("JPEG", "MPO") and not is_jfif and not is_exif):
        return 0.0, 0.0
    return float(stated[0]), float(stated[1])


def _by_pillow(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise PictureError("empty_file", "the file has no bytes; expected an encoded picture")
    _hush_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            if image.width * image.height > max_pixels:
                raise PictureError(
                    "too_large",
                    f"{image.width}x{image.height} px is over the limit of {max_pixels} px; "
                    "crop or shrink it first",
                )
            white = stated_max(image, data)
            image.load()
            return _upright(in_full_depth(image, data), white)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("too_large", f"{error}; the limit is {max_pixels} px") from error
    except UnidentifiedImageError as error:  # its own message holds a memory address
        known = ", ".join(FORMATS)
        raise PictureError("undecodable", f"not a picture of a known format: {known}") from error
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> PictureError:
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return PictureError("out_of_memory", "the picture needs more memory than is available")
    return PictureError("undecodable", f"not a readable picture: {error}")


@cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def _hush_libtiff() -> None:
    """Let the libtiff that comes with Pillow not tell of damage on stderr, a line or more a
    picture: what can't be read is told by ``PictureError``. One of the system's stays as it is."""
    home = Path(Image.__file__).parent
    for path in (*home.parent.glob("pillow.libs/libtiff*"), *home.glob(".dylibs/libtiff*")):
        library = ctypes.CDLL(str(path))  # the one that Pillow has loaded, or will
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


def _hush_pillow() -> None:
    """Let Pillow not warn of odd pictures: where warnings are errors they would be lost.

    A filter that stays, as ``catch_warnings`` isn't safe among threads.
    """
    _hush_libtiff()
    first = warnings.filters[0] if warnings.filters else None
    if first is None or getattr(first[3], "pattern", None) != _PILLOW_MODULES:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)


SMALLEST = PictureContract(height=8, channels=1, mode="fixed", widths=(8,))
"""What a picture is scaled to when all that is asked is whether it decodes."""


def upright(image: Image.Image) -> Image.Image:
    """EXIF orientation applied, opaque (``transparency``), any mode to ``L`` or ``RGB``.

    More than 8 bits are scaled by the range that is there (``high_depth``).
    """
    return _upright(image, stated_max(image))


def _upright(image: Image.Image, white: int | None) -> Image.Image:
    image = _turned(image)
    if image.mode == "F" or image.mode.startswith("I"):
        return grey_of_8_bits(image, white)
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        return opaque(image)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF, which Pillow meets with almost anything: the pixels stand
        return image


def normalise(pixels_NHWC: torch.Tensor) -> torch.Tensor:
    """uint8 ``NHWC`` on any device → float32 ``NCHW`` in [-1, 1]; the padding is about 0."""
    return pixels_NHWC.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)
