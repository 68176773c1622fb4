"""``scene``: whole photographs, each with a file of boxes or polygons and their words.

``img_1.jpg`` goes with ``gt_img_1.txt``, ``poly_gt_img_1.txt`` or ``img_1.txt``, in the same
folder or in another one below the source. Each word is a sample, cut out of its picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from crnn.errors import DataError
from crnn.files import storage
from pipelines.read_ahead import ahead
from pipelines.sources.files import head_of, may_be_there, whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.icdar import UNREADABLE
from pipelines.sources.item import Item, Place, unusable
from pipelines.sources.polygons import LabelledWord, corners_of, words
from pipelines.sources.walk import closed_below, folders_below
from pipelines.stores import is_picture_name, names_in

PREFIXES = ("poly_gt_", "gt_")
_PICTURE_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".tif", ".bmp", ".gif")
_SAMPLE_FILES = 3
_HEAD_BYTES = 1 << 16
_MAX_LIST_BYTES = 16 << 20


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    """Folders with ground truth, then, after an empty name, folders with pictures."""
    if folder.is_file:
        raise Lacks("a folder with pictures and gt_*.txt files")
    lists, pictures = [], []
    for path, names in folders_below(folder.uri):
        if any(map(is_picture_name, names)):
            pictures.append(path)
        if _has_words(folder.uri, path, [name for name in names if name.endswith(".txt")]):
            lists.append(path)
    if wanted:
        lists = [path for path in lists if path.rstrip("/") in {w.rstrip("/") for w in wanted}]
    if not lists or not pictures:
        lacking = "boxes or polygons in .txt files" if not lists else "pictures"
        raise Lacks(f"{lacking} (img_1.jpg with gt_img_1.txt, in one or two folders)")
    return [*(path or "." for path in lists), "", *(path or "." for path in pictures)]


def _has_words(uri: str, path: str, names: Sequence[str]) -> bool:
    """Whether one of these text files has a word with its corners."""
    marked = [name for name in names if name.startswith(PREFIXES)]
    others = [name for name in names if not name.startswith(PREFIXES)]
    for name in (*marked[:_SAMPLE_FILES], *others[:_SAMPLE_FILES]):
        head = head_of(storage.join(uri, path, name), _HEAD_BYTES)
        text = head.decode("utf-8-sig", "replace")
        whole_lines = text.rpartition("\n")[0] or text
        if any(not word.complaint for word in words(whole_lines)):
            return True
    return False


def _words(address: str) -> tuple[list[LabelledWord], str]:
    """Words of a ground-truth file; and why there are none."""
    try:
        data = storage.read_bytes(address, most=_MAX_LIST_BYTES)
        return words(data.decode("utf-8-sig")), ""
    except UnicodeDecodeError as error:
        return [], f"not UTF-8: {error}"
    except FileNotFoundError:
        return [], "it is gone"
    except DataError as error:
        if not storage.is_local(address):
            raise
        return [], str(error)


def _items(source: Opened) -> Iterator[Item]:
    cut = source.names.index("")
    folders = [name.removeprefix(".") for name in source.names]
    lists, pictures = folders[:cut], folders[cut + 1 :]
    partners = _Partners(source, pictures)
    for folder in lists:
        for path, found, complaint, partner in _read_ahead(source, folder, partners):
            if complaint:
                yield unusable(path, "bad_line", complaint)
            for word in found:
                yield _item(path, word, partner)
    yield from closed_below(source.uri)


def _read_ahead(
    source: Opened, folder: str, partners: _Partners
) -> Iterator[tuple[str, list[LabelledWord], str, str]]:
    """Path, words, complaint and picture of each ground-truth file of a folder, in order."""

    def read(path: str) -> tuple[str, list[LabelledWord], str, str]:
        found, complaint = _words(source.address(path))
        return path, found, complaint, partners.of(path)

    names = (
        name
        for name, is_folder in names_in(storage.join(source.uri, folder))
        if not is_folder and name.endswith(".txt")
    )
    jobs = (partial(read, f"{folder}/{name}".lstrip("/")) for name in names)
    yield from (job() for job in jobs) if storage.is_local(source.uri) else ahead(jobs)


class _Partners:
    """Finds the picture of a ground-truth file, where the last one was found first."""

    def __init__(self, source: Opened, folders: Sequence[str]) -> None:
        self._source = source
        self._ways = [(folder, suffix) for suffix in _PICTURE_SUFFIXES for folder in folders]

    def of(self, path: str) -> str:
        """Path of the picture; empty when there is none."""
        stem = path.rpartition("/")[2].removesuffix(".txt")
        stems = [stem.removeprefix(prefix) for prefix in PREFIXES if stem.startswith(prefix)]
        for way in list(self._ways):
            for name in dict.fromkeys([*stems[:1], stem]):
                candidate = f"{way[0]}/{name}{way[1]}".lstrip("/")
                if may_be_there(self._source.address(candidate)):
                    if self._ways[0] != way:
                        self._ways = [way, *(other for other in self._ways if other != way)]
                    return candidate
        return ""


def _item(path: str, word: LabelledWord, picture: str) -> Item:
    where = f"{path}:{word.line}"
    if word.complaint:
        return unusable(where, "bad_line", word.complaint)
    if not picture:
        return unusable(where, "not_found", f"there is no picture that goes with {path}")
    item = Item(
        f"{picture}#{word.line}",
        word.text,
        group=picture,
        picture=Place(picture),
        region=corners_of(word.points),
    )
    if word.text not in UNREADABLE:
        return item
    message = f"the label {word.text} marks it as unreadable"
    return item._replace(text="", reason="unreadable_label", message=message)


SCENE = Format(find=_find, items=_items, reader=whole_files, in_order=True)
