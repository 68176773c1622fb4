"""What a process keeps of glyphs and photographs is bounded by bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path
from PIL import Image

from crnn.kept import Kept
from pipelines.render import glyphs, photos
from pipelines.render.fonts import Font
from pipelines.render.glyphs import Setting, set_line

DEJAVU = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
FONT = Font(family="DejaVu Sans", style="Book", path=str(DEJAVU), packaged=True)


def test_of_glyphs_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept[tuple[str, int, int, str], glyphs.Glyph](200_000)
    monkeypatch.setattr(glyphs, "_glyphs", kept)
    for size_px in range(20, 120):
        line = set_line("مكتبة W", FONT, size_px, Setting())
        assert line.placed
    assert 100_000 < kept.bytes <= 200_000


def test_of_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 200 * 100 * 3
    kept = Kept[str, photos.Pixels](3 * size)
    monkeypatch.setattr(photos, "_photos", kept)
    for grey in range(5):
        Image.new("RGB", (200, 100), (grey, grey, grey)).save(tmp_path / f"{grey}.png")
    for path in (*photos.list_photos(str(tmp_path)), str(tmp_path / "1.png")):
        photo_HWC = photos.load_photo(path)
        assert np.all(photo_HWC == int(Path(path).stem))
    assert kept.bytes == 3 * size
