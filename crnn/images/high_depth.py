"""Pictures of more than 8 bits a channel → 8 bits, by the range that is there.

Cameras and scanners write 8, 10, 12 or 14 bits into files of 16, most often without a word in the
header. Scaled by the file's type their pictures would be black. So a picture whose greatest value
fits into 8, 10, 12 or 14 bits has that many, unless its header tells: PNG's ``sBIT``, TIFF's
``BitsPerSample`` and ``SMaxSampleValue``, JPEG 2000's bits of a component, Netpbm's greatest value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnn.errors import PictureError
from crnn.images.transparency import ground_of

_USUAL_BITS = (8, 10, 12, 14, 16)
_LITTLE = 64
"""Greatest high byte, rounded up, of a picture of 16 bits that may hold fewer: 14 at most."""
_BITS_PER_SAMPLE, _SAMPLES_MAX, _ORIENTATION = 258, 341, 274  # tags of TIFF and Exif
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_CHUNK_TAIL = 4  # its checksum
_PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_PIXEL_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND"})
_JPEG_2000_SIZES = b"\xff\x4f\xff\x51"
"""Start of a codestream of JPEG 2000 and of the sizes in it."""
_COMPONENTS = 40
"""From there to the number of components, 2 bytes, and 3 bytes for each."""
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM_OF_16_BITS = re.compile(rb"P[36]" + _GAP + rb"\d+" + _GAP + rb"\d+" + _GAP + rb"65535\s")
_PPM_HEADER_BYTES = 4096


def stated_max(image: Image.Image, data: bytes = b"") -> int | None:
    """The value that the header calls white, of an image just opened; None where it says nothing.

    ``data`` are the file's bytes, for what Pillow doesn't tell.
    """
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None:
        most, bits = tags.get(_SAMPLES_MAX), tags.get(_BITS_PER_SAMPLE)
        if most is not None:
            most = most if isinstance(most, tuple) else (most,)
            values = [float(value) for value in most]
            return int(max(values)) if values and 0 < max(values) < 65536 else None
        if bits is not None and 8 < max(bits) < 16:
            return int((1 << max(bits)) - 1)
        return None
    if data.startswith(_PNG):
        bits = _significant_bits(data)
        return None if bits is None else (1 << bits) - 1
    if image.format == "JPEG2000" and 8 < (most_bits := max(_jpeg_2000_bits(data), default=0)) < 16:
        return 65535 if image.mode == "I;16" else (1 << most_bits) - 1  # Pillow scales grey alone
    return None


def white_of(greatest: float, stated: int | None) -> float:
    """The value that becomes 255, of a picture of 16 bits with this greatest one."""
    if stated is not None and greatest <= stated:
        return float(stated)
    return float(next(w for bits in _USUAL_BITS if greatest <= (w := (1 << bits) - 1)))


def grey_of_8_bits(image: Image.Image, stated: int | None) -> Image.Image:
    """A picture of one channel in mode ``I``, ``I;16`` or ``F``, in mode ``L``.

    16 bits by ``white_of``; whole numbers beyond and fractions by the range from the least to the
    greatest value, save where they are 8 bits already.

    Raises:
        PictureError: ``non_finite_pixels``.
    """
    values = np.asarray(image, dtype=np.float64)
    if not values.size:
        return Image.new("L", image.size)
    if not np.isfinite(values).all():
        raise PictureError("non_finite_pixels", "the picture has NaN or infinite pixels")
    clear = values == image.info.get("transparency", np.nan)
    seen = values[~clear] if clear.any() and not clear.all() else values
    low, high = float(seen.min()), float(seen.max())
    if image.mode != "F" and low >= 0 and high <= 65535:
        values = values * (255.0 / white_of(high, stated))
    elif low < 0 or high > 255 or high <= 1:
        values = (values - low) * (255.0 / ((high - low) or 1.0))
    pixels = np.rint(values.clip(0, 255)).astype(np.uint8)
    if clear.any():
        pixels[clear] = ground_of(pixels, np.where(clear, 0, 255).astype(np.uint8))
    return Image.fromarray(pixels)


def in_full_depth(image: Image.Image, data: bytes) -> Image.Image:
    """A colour picture, or one with transparency, whose file has 16 bits a channel.

    Pillow keeps the high byte alone, which is next to nothing where the file holds fewer bits:
    then its values are taken from the file again, and where a PNG names its transparent colour, in
    16 bits as well, which no high byte equals; of JPEG 2000 always, of which Pillow makes white
    black as it rounds. Any other picture as it is.
    """
    clear = _clear_colour(image, data)
    channels = 3 if clear else _wide_channels(image, data)
    is_kept = not clear and image.format != "JPEG2000"
    if channels is None or (is_kept and _greatest(image) > _LITTLE):
        return image
    wide = _decoded_wide(image, data, channels)
    if wide is None:
        return image
    if clear:
        is_clear = (wide == np.array(clear[::-1])).all(axis=2)
        wide = np.dstack([wide, np.where(is_clear, 0, 65535).astype(np.uint16)])
    return _narrowed(wide, image, stated_max(image, data))


def _decoded_wide(image: Image.Image, data: bytes, channels: int) -> NDArray[np.uint16] | None:
    """What OpenCV makes of the file, ``HWC``; None where that isn't what was expected."""
    encoded = np.frombuffer(_bare_png(data) if data.startswith(_PNG) else data, dtype=np.uint8)
    loudness = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        wide = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED | cv2.IMREAD_ANYDEPTH)
    except cv2.error:  # no memory, or a kind of file that OpenCV doesn't read
        return None
    finally:
        cv2.utils.logging.setLogLevel(loudness)
    if wide is None or wide.dtype != np.uint16:
        return None
    return (
        np.asarray(wide, dtype=np.uint16)
        if wide.shape == (image.height, image.width, channels)
        else None
    )


def _narrowed(wide: NDArray[np.uint16], image: Image.Image, stated: int | None) -> Image.Image:
    """What OpenCV decoded, in the mode that Pillow gave it."""
    colours = wide[:, :, :3]
    seen = colours[wide[:, :, 3] > 0] if wide.shape[2] == 4 else colours
    white = white_of(float(seen.max()) if seen.size else 0.0, stated)
    pixels = np.rint((colours * (255.0 / white)).clip(0, 255)).astype(np.uint8)[:, :, ::-1]
    narrow = Image.fromarray(np.ascontiguousarray(pixels)).convert(image.mode)
    if wide.shape[2] == 4:
        alpha = wide[:, :, 3].astype(np.float64)
        most = white_of(float(alpha.max()), None)
        mask = np.rint(alpha * (255.0 / most)).astype(np.uint8)
        narrow.putalpha(Image.fromarray(mask))
    narrow.info = {k: v for k, v in image.info.items() if k != "transparency"}
    turn = image.getexif().get(_ORIENTATION)
    if turn is not None:
        narrow.getexif()[_ORIENTATION] = turn
    return narrow


def _clear_colour(image: Image.Image, data: bytes) -> tuple[int, ...] | None:
    """The transparent colour of a PNG of 16 bits in colour; None for any other picture."""
    colour = image.info.get("transparency")
    is_wide = data.startswith(_PNG) and len(data) > 25 and data[24] == 16 and image.mode == "RGB"
    return tuple(colour) if is_wide and isinstance(colour, tuple) and len(colour) == 3 else None


def _wide_channels(image: Image.Image, data: bytes) -> int | None:
    """Channels that OpenCV gives of a file of 16 bits and several channels; None for any other."""
    if image.mode not in ("RGB", "RGBA", "LA") or "transparency" in image.info:
        return None
    if data.startswith(_PNG) and len(data) > 25 and data[24] == 16:
        channels = _PNG_CHANNELS.get(data[25])
        return 4 if channels == 2 else channels  # OpenCV makes four of grey with alpha
    if image.format == "JPEG2000":
        depths = _jpeg_2000_bits(data)
        return len(depths) if len(depths) in (3, 4) and min(depths) > 8 else None
    if image.format == "PPM":
        return 3 if _PPM_OF_16_BITS.match(data[:_PPM_HEADER_BYTES]) else None
    bits: Any = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return len(bits) if bits and min(bits) == 16 and len(bits) in (3, 4) else None


def _greatest(image: Image.Image) -> int:
    """The greatest value of the colour channels, without alpha."""
    greatest = 0
    for band in image.getbands():
        if band != "A":
            greatest = max(greatest, int(np.asarray(image.getchannel(band)).max(initial=0)))
    return greatest


def _significant_bits(data: bytes) -> int | None:
    """PNG's ``sBIT``: of its colours the greatest number."""
    for kind, body in _chunks(data):
        if kind == b"sBIT" and body:
            colours = body[:3] if len(body) >= 3 else body[:1]
            return max(colours) if 0 < max(colours) <= 16 else None
        if kind == b"IDAT":
            return None
    return None


def _jpeg_2000_bits(data: bytes) -> tuple[int, ...]:
    """Bits of each component, as the codestream says; none where it says nothing."""
    at = data.find(_JPEG_2000_SIZES) + _COMPONENTS
    count = int.from_bytes(data[at : at + 2]) if at >= _COMPONENTS else 0
    return tuple(1 + (depth & 0x7F) for depth in data[at + 2 : at + 2 + 3 * count : 3])


def _bare_png(data: bytes) -> bytes:
    """What makes its pixels alone: of other chunks libpng would warn on stderr."""
    parts = [_PNG]
    place = len(_PNG)
    for kind, body in _chunks(data):
        end = place + _CHUNK.size + len(body) + _CHUNK_TAIL
        if kind in _PIXEL_CHUNKS:
            parts.append(data[place:end])
        place = end
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk, as far as the file goes."""
    place = len(_PNG)
    while place + _CHUNK.size <= len(data):
        size, kind = _CHUNK.unpack_from(data, place)
        body = place + _CHUNK.size
        yield kind, data[body : body + size]
        place = body + size + _CHUNK_TAIL
