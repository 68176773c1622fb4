"""``mjsynth``: ``annotation_*.txt`` and ``lexicon.txt`` (Jaderberg et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crnn.errors import DataError
from crnn.files import storage
from crnn.text.charset import normalise
from pipelines.sources.columns import Pictured
from pipelines.sources.files import may_be_there, whole_files
from pipelines.sources.format import Folder, Format, Opened, SourceOptions
from pipelines.sources.item import Item, ListedPaths, unusable
from pipelines.sources.ranged import numbered_lines, text_lines

LEXICON_NAME = "lexicon.txt"
NAMES = ("annotation_*.txt", "annotation.txt")


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    return folder.selected(wanted, NAMES)


def _items(source: Opened) -> Iterator[Item]:
    """Lines ``./2425/1/115_Lube_45484.jpg 45484``; the number is a line of the lexicon, from 0.

    The text is the lexicon's word, and must be the file name's too. Where only the case differs,
    the file name's is taken, for that is how the word was painted. Without a lexicon the file
    name decides alone.
    """
    lexicon = _lexicon(source.address(LEXICON_NAME))
    for name in source.names:
        paths = ListedPaths(lambda path: may_be_there(source.address(path)))
        for number, line, complaint in numbered_lines(source.address(name)):
            where = f"{name}:{number}"
            if complaint:
                yield unusable(where, "bad_line", complaint)
            else:
                yield _item(where, line, lexicon, paths.pictured)


def _lexicon(address: str) -> list[str] | None:
    try:
        text = storage.read_bytes(address).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise DataError(f"{address} is not UTF-8: {error}; save it as UTF-8") from error
    return text_lines(text)


def _item(where: str, line: str, lexicon: list[str] | None, pictured: Pictured) -> Item:
    path, space, number = line.rstrip().rpartition(" ")
    if not space or not number.isascii() or not number.isdigit():
        return unusable(where, "bad_line", f"expected 'path number', found {line[:80]!r}")
    stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    named = stem.partition("_")[2].rpartition("_")[0]
    if lexicon is None:
        if not named:
            return unusable(where, "bad_line", f"{path!r} is not named NNN_label_id; no lexicon")
        return pictured(where, path, named, "")
    if int(number) >= len(lexicon):
        message = f"{number} is past the {len(lexicon)} lines of {LEXICON_NAME}"
        return unusable(where, "bad_line", message)
    word = lexicon[int(number)]
    if named and normalise(named).casefold() != normalise(word).strip().casefold():
        message = f"the file name says {named!r}, line {number} of {LEXICON_NAME} {word!r}"
        found = pictured(where, path, "", "")
        return unusable(found.id, "label_mismatch", message, found.picture)
    return pictured(where, path, named or word, "")


MJSYNTH = Format(find=_find, items=_items, reader=whole_files, of_files=True, names_pictures=True)
