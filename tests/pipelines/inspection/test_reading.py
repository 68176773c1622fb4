"""Pictures as an inspection sees them: the pixels that Pillow's images have, decoded once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.errors import PictureError
from crnn.images import region as regions
from crnn.images.contract import Pixels, decode_picture
from crnn.images.prepare import small_picture
from crnn.images.region import cut_out, from_box
from pipelines.inspection import reading
from pipelines.inspection.inputs import DataSet, Piece
from pipelines.inspection.pictures import look_at
from pipelines.inspection.reading import PieceReader
from pipelines.sources import Item, Place, SourceOptions, open_source
from tests.crnn import poison
from tests.pipelines.inspection.planted import PLAIN

ASLANT = (2.0, 12.0, 10.0, 4.0, 14.0, 8.0, 6.0, 16.0)
REGIONS = (None, from_box(2, 3, 17, 11), ASLANT, from_box(9000, 0, 9100, 20))


def files() -> dict[str, bytes]:
    odd = [case.data for case in poison.corpus().values() if not case.may_read]
    large = poison.encoded(poison.noise(900, 700), "PNG")
    return {f"{n}.png": data for n, data in enumerate((*poison.good_pictures(40), *odd, large))}


def read_by(folder: Path, pictures: dict[str, bytes]) -> tuple[PieceReader, Piece]:
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    source = open_source(str(folder), options=SourceOptions(label_pattern="(?P<text>.*)"))
    data = DataSet(name="a", uri=str(folder), format=source.format, source=source)
    items = tuple(
        Item(f"{name}#{number}", "t", picture=Place(name), region=region)
        for name in pictures
        for number, region in enumerate(REGIONS)
    )
    return PieceReader([data], PLAIN), Piece(set=0, start=0, rows=len(items), items=items)


def by_pillow(data: bytes, region: regions.Region | None) -> Pixels | PictureError:
    try:
        image = decode_picture(data)
        return np.asarray(image if region is None else cut_out(image, region))
    except PictureError as error:
        return error


@pytest.mark.parametrize("at_once", [regions.AT_ONCE_PIXELS, 1])
def test_rows_are_the_pictures_that_pillow_decodes_and_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(regions, "AT_ONCE_PIXELS", at_once)
    pictures = files()
    reader, piece = read_by(tmp_path, pictures)
    rows = iter(list(reader.rows(piece)))
    for name, data in pictures.items():
        for number, region in enumerate(REGIONS):
            row, expected = next(rows), by_pillow(data, region)
            assert row.id == f"{name}#{number}"
            if isinstance(expected, PictureError):
                assert isinstance(row.picture, PictureError) and not row.encoded
                assert (row.picture.reason, str(row.picture)) == (expected.reason, str(expected))
            else:
                assert np.array_equal(row.picture, expected)
                assert row.encoded == (data if region is None else b"")
    assert next(rows, None) is None


def test_small_plain_ones_are_decoded_here_until_one_has_crashed_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = enumerate(poison.good_pictures(60))
    small = {f"{n}.png": data for n, data in good if small_picture(data) is not None}
    reader, piece = read_by(tmp_path, small)
    whole = range(0, piece.rows, len(REGIONS))
    assert reader._pool is not None and len(small) > 10
    here = list(reader.rows(piece, whole))
    assert reader._pool.process_ids() == []
    monkeypatch.setattr(reading, "is_second_try", lambda: True)
    apart = list(reader.rows(piece, whole))
    assert len(reader._pool.process_ids()) == 1
    for one, other, data in zip(here, apart, small.values(), strict=True):
        assert np.array_equal(one.picture, other.picture)  # type: ignore[arg-type]
        assert np.array_equal(one.picture, np.asarray(decode_picture(data)))  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_kept_of_a_picture_is_what_pillow_makes_of_it(channels: int) -> None:
    for data in poison.good_pictures(60):
        image = decode_picture(data)
        pixels, grey = np.asarray(image), np.asarray(image.convert("L"))
        found = look_at(pixels, channels=channels)
        if pixels.ndim == 3 and (pixels == pixels[:, :, :1]).all():
            pixels = pixels[:, :, 0]
        size = "x".join(map(str, pixels.shape)).encode()
        whole = hashlib.blake2b(size + pixels.tobytes(), digest_size=8).digest()
        assert found.pixels == int.from_bytes(whole, "little")
        assert found.look == look_at(grey, channels=1).look
        seen = grey if channels == 1 else pixels
        flat = seen.reshape(seen.shape[0] * seen.shape[1], -1).astype(int)
        assert found.contrast == int((flat.max(axis=0) - flat.min(axis=0)).max())


def test_greys_of_all_colours_count_as_pillow_has_them() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    grey = np.asarray(Image.fromarray(cube).convert("L"))
    assert look_at(cube, channels=1).look == look_at(grey, channels=1).look
