"""Which text belongs to which picture, by their names; and folders of such pairs.

``pairs``: ``x.gt.txt`` beside ``x.png``, a line of text a file, as tesstrain, kraken and Calamari
have it; asked for by its name, ``x.txt`` and the like as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

from crnn.errors import PictureError
from crnn.files import storage
from pipelines.read_ahead import ahead
from pipelines.sources.files import head_of, read_file, whole_files
from pipelines.sources.format import Encoded, Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.polygons import words
from pipelines.sources.walk import folders_below, paths_below
from pipelines.stores import is_picture_name

TEXT_SUFFIXES = ("txt", "text", "label", "gt")
"""Suffixes of texts, by priority."""
MARK = ".gt.txt"
_SAMPLE_FILES = 3
_GROUPS_AHEAD = 64
_EXACT, _OF_MORE, _OF_LESS = range(3)


class Pair(NamedTuple):
    """What belongs together, by its place among the names; one of both may be missing."""

    picture: int | None
    text: int | None


def key_of(name: str) -> str:
    """What all names of one sample share: the path up to the name's first dot."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def paired(names: Sequence[str], text_suffixes: Sequence[str]) -> list[Pair]:
    """Pairs among names with one ``key_of``: every picture, and texts that go with none.

    A picture takes the text of its own name (``page.1.png``, ``page.1.txt``), else one whose name
    is the begin of its own (``0001.seg.png``, ``0001.txt``) or the other way round. What goes by
    its name with a picture that has a text already is a further part of that sample.
    """
    pictures = {p: _stem(name) for p, name in enumerate(names) if is_picture_name(name)}
    texts = {t: _text_stem(n) for t, n in enumerate(names) if _suffix(n) in text_suffixes}
    ways = sorted(
        (rank, -len(texts[t]), text_suffixes.index(_suffix(names[t])), p, t)
        for t, (rank, partners) in _partners(pictures, texts).items()
        for p in partners
    )
    text_of: dict[int, int] = {}
    taken: set[int] = set()
    further = {text for rank, _, _, _, text in ways if rank != _OF_MORE}
    for _, _, _, picture, text in ways:
        if picture not in text_of and text not in taken:
            text_of[picture] = text
            taken.add(text)
    placed = taken.union(further)
    return [
        *(Pair(picture, text_of.get(picture)) for picture in pictures),
        *(Pair(None, text) for text in texts if text not in placed),
    ]


def _partners(
    pictures: Mapping[int, str], texts: Mapping[int, str]
) -> dict[int, tuple[int, list[int]]]:
    """For each text, the best matching pictures by name, and the cost of the match."""
    by_picture, by_text = _by_stem(pictures), _by_stem(texts)
    longer: dict[int, list[int]] = {}
    for picture, stem in pictures.items():
        for begin in _begins(stem):
            for text in by_text.get(begin, ()):
                longer.setdefault(text, []).append(picture)
    found: dict[int, tuple[int, list[int]]] = {}
    for text, stem in texts.items():
        shorter = next((by_picture[b] for b in _begins(stem) if b in by_picture), None)
        if stem in by_picture:
            found[text] = _EXACT, by_picture[stem]
        elif text in longer:
            found[text] = _OF_MORE, longer[text]
        elif shorter is not None:
            found[text] = _OF_LESS, shorter
    return found


def _by_stem(stems: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, stem in stems.items():
        found.setdefault(stem, []).append(number)
    return found


def _begins(stem: str) -> Iterator[str]:
    """What stands before each dot of the name, the longest first."""
    folder, slash, base = stem.rpartition("/")
    while "." in base:
        base = base.rpartition(".")[0]
        yield folder + slash + base


def _suffix(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2].lower()


def _stem(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.rpartition(".")[0]


def _text_stem(name: str) -> str:
    return _stem(name).removesuffix(".gt")


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    if folder.is_file:
        raise Lacks("a folder of pictures and texts")
    if wanted:
        raise Lacks("lists: each picture has a text file of its own")
    texts: list[str] = []
    for path, names in folders_below(folder.uri):
        marked = [name for name in names if name.endswith(MARK)]
        texts += [f"{path}/{name}".lstrip("/") for name in marked[:_SAMPLE_FILES]]
        if len(texts) >= _SAMPLE_FILES:
            break
    for text in texts[:_SAMPLE_FILES]:
        head = head_of(storage.join(folder.uri, text), 1 << 16)
        found = words(head.decode("utf-8-sig", "replace"))
        if found and not any(word.complaint for word in found):
            raise Lacks(f"texts: {text} holds boxes, see scene")
    if not texts:
        raise Lacks(f"x{MARK} beside x.png (with --format pairs also x.txt)")
    return ()


def _items(source: Opened) -> Iterator[Item]:
    only_marked = any(name.endswith(MARK) for name in _first_names(source.uri))
    closed: list[Item] = []

    def wanted() -> Iterator[str]:
        for name, why in paths_below(source.uri):
            if why:
                closed.append(unusable(name, "unreadable", why))
            elif is_picture_name(name) or _is_text(name, only_marked):
                yield name

    held: deque[tuple[list[str], list[Pair]]] = deque()
    for _, group in groupby(wanted(), key=key_of):
        of_one = list(group)
        held.append((of_one, paired(of_one, TEXT_SUFFIXES)))
        if len(held) >= _GROUPS_AHEAD:
            yield from _read(source, held)
            held.clear()
    yield from _read(source, held)
    yield from closed


def _first_names(uri: str) -> Iterator[str]:
    for _, names in folders_below(uri):
        yield from names


def _is_text(name: str, only_marked: bool) -> bool:
    return name.endswith(MARK) if only_marked else _suffix(name) in TEXT_SUFFIXES


def _read(source: Opened, groups: Iterable[tuple[list[str], list[Pair]]]) -> Iterator[Item]:
    """The items of some groups, their texts read at once where each is a request."""
    pairs = [
        (None if p.picture is None else names[p.picture], None if p.text is None else names[p.text])
        for names, found in groups
        for p in found
    ]
    jobs = [partial(read_file, source.address(text)) for picture, text in pairs if picture and text]
    texts = ahead(jobs) if not storage.is_local(source.uri) else (job() for job in jobs)
    for picture, text in pairs:
        if picture is None:
            message = f"there is no picture that goes with {text}"
            yield unusable(text or "", "not_found", message)
        elif text is None:
            yield unusable(picture, "no_label", "no text file goes with it", Place(picture))
        else:
            yield _item(picture, text, next(texts))


def _item(picture: str, text: str, data: Encoded) -> Item:
    if isinstance(data, PictureError):
        return unusable(picture, "no_label", f"{text}: {data}", Place(picture))
    try:
        return Item(picture, plain_text(data), picture=Place(picture))
    except UnicodeDecodeError as error:
        message = f"{text} is not UTF-8: {error}"
        return unusable(picture, "bad_line", message, Place(picture))


def plain_text(data: bytes) -> str:
    """The text of a file that holds one, without the end of its line."""
    text = data.decode("utf-8-sig")
    return text.removesuffix("\n").removesuffix("\r")


PAIRS = Format(find=_find, items=_items, reader=whole_files)
