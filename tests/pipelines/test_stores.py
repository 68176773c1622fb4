from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from crnn import storage
from pipelines.stores import files_at, in_order, is_picture_name, names_in


def test_names_come_in_order_however_many_there_are() -> None:
    names = [f"{number:06d} ü" for number in range(150_000)]
    names += ["caf\udce9", "a\nb"]
    shuffled = random.Random(1).sample(names, len(names))
    assert list(in_order(iter(shuffled))) == sorted(names, key=os.fsencode)
    assert list(in_order(iter(shuffled[:9]))) == sorted(shuffled[:9], key=os.fsencode)
    assert list(in_order(iter(()))) == []


def test_a_folder_is_looked_into_here_and_on_s3(
    tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    for root in (str(tmp_path / "x"), storage.join(new_bucket(), "x y")):
        for name in ("b.jpg", "a.txt", "below/c.jpg", "below/deeper/d.jpg"):
            storage.write_bytes(storage.join(root, name), b"1")
        found = list(names_in(root))
        assert sorted(found) == [("a.txt", False), ("b.jpg", False), ("below", True)]
        assert [name for name, is_folder in found if not is_folder] == ["a.txt", "b.jpg"]
        below = [row["uri"].removeprefix(root + "/") for row in files_at(root)]
        assert sorted(below) == ["a.txt", "b.jpg", "below/c.jpg", "below/deeper/d.jpg"]


def test_pictures_are_told_by_their_names() -> None:
    assert all(map(is_picture_name, ("a.jpg", "b.PNG", "x/y.z.tiff")))
    assert not any(map(is_picture_name, ("a.txt", "jpg", ".png", "a.jpg.txt")))
