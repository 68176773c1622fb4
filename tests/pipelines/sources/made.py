"""Sources of every format, made of a few pictures."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from crnn.files import storage
from pipelines.sources import Item, open_source
from pipelines.sources.format import SourceOptions
from tests.pipelines.conftest import encoded

PICTURE = encoded("word")


def items_of(folder: Path | str, **options: object) -> list[Item]:
    return list(open_source(str(folder), **options).items())  # type: ignore[arg-type]


def rows(folder: Path | str, **options: object) -> list[tuple[str, str, str]]:
    return [(item.id, item.text, item.reason) for item in items_of(folder, **options)]


def options(**values: str) -> SourceOptions:
    return SourceOptions(**values)


def files(folder: Path, contents: Mapping[str, bytes | str]) -> Path:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def put(folder: Path | str, contents: Mapping[str, bytes | str]) -> str:
    """The same here or on a store; the address of the folder."""
    if isinstance(folder, Path):
        return str(files(folder, contents))
    for name, content in contents.items():
        data = content.encode() if isinstance(content, str) else content
        storage.write_bytes(storage.join(folder, name), data)
    return folder


def tar(members: Mapping[str, bytes | str], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
