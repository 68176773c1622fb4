"""Contact sheets: samples beside their labels, as one PNG to look at before time is spent on them.

Shape suffixes: H height, W width (pixels), C channels (blue, green, red).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from pipelines.render.fields import Pixels
from pipelines.render.fonts import Font

_LABEL_PX = 13
_LABEL_GAP_PX = 2
_PAD_PX = 4
_MOST_ENLARGED = 2.5
_GREY = 225
_INK = 20


@dataclass(frozen=True, kw_only=True)
class SheetConfig:
    """Layout of a contact sheet."""

    columns: int = 8
    """Cells in a row."""
    cell_px: tuple[int, int] = (180, 64)
    """Width and height of a picture's room."""

    def __post_init__(self) -> None:
        if self.columns < 1 or min(self.cell_px) < 16:
            raise ValueError(
                f"the sheet has {self.columns} columns of {self.cell_px} px; expected 1 and 16 up"
            )


def contact_sheet(
    entries: Sequence[tuple[Pixels, str]],
    config: SheetConfig | None = None,
    fonts: Sequence[Font] = (),
) -> bytes:
    """A PNG with each picture (``HW`` or ``HWC``) in a cell and its label below.

    Labels are in DejaVu Sans; where it lacks a character, in the first of ``fonts`` that has all.

    Raises:
        ValueError: when there is no picture.
    """
    if not entries:
        raise ValueError("there is no picture for the sheet; expected at least one")
    config = config or SheetConfig()
    width, height = config.cell_px
    row_px = height + _LABEL_PX + 2 * _LABEL_GAP_PX + _PAD_PX
    rows = -(-len(entries) // config.columns)
    size = (config.columns * (width + _PAD_PX) + _PAD_PX, rows * row_px + _PAD_PX)
    sheet = Image.new("RGB", size, (_GREY, _GREY, _GREY))
    pen = ImageDraw.Draw(sheet)
    for i, (pixels, label) in enumerate(entries):
        x = _PAD_PX + (i % config.columns) * (width + _PAD_PX)
        y = _PAD_PX + (i // config.columns) * row_px
        sheet.paste(Image.fromarray(_fitted(pixels, width, height)), (x, y))
        font = _label_font(label, fonts)
        text = _shortened(label, font, width)
        pen.text((x, y + height + _LABEL_GAP_PX), text, fill=(_INK, _INK, _INK), font=font)
    done, data = cv2.imencode(".png", np.asarray(sheet)[..., ::-1])
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()


def _label_font(label: str, fonts: Sequence[Font]) -> ImageFont.FreeTypeFont:
    path, index = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 0
    if not _characters_of(path).issuperset(label):
        able = next((font for font in fonts if not set(font.lacks) & set(label)), None)
        path, index = (Path(able.path), able.index) if able else (path, index)
    return ImageFont.truetype(str(path), _LABEL_PX - 1, index)


@cache
def _characters_of(path: Path) -> frozenset[str]:
    with TTFont(path, lazy=True) as tables:
        return frozenset(map(chr, tables.getBestCmap()))


def _fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """RGB pixels that fit the room, the aspect kept."""
    colour = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 or pixels.shape[2] == 1 else cv2.COLOR_BGR2RGB
    rgb_HWC = cv2.cvtColor(pixels, colour)
    scale = min(width / rgb_HWC.shape[1], height / rgb_HWC.shape[0], _MOST_ENLARGED)
    size = (max(1, int(rgb_HWC.shape[1] * scale)), max(1, int(rgb_HWC.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb_HWC, size, interpolation=way), dtype=np.uint8)


def _shortened(label: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
