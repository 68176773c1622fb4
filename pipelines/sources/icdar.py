"""``icdar``: cropped words with one ``gt.txt``, as the ICDAR competitions give them.

Lines are ``word_1.png, "Genaxis Theatre"``, as found in the wild also without quotes, without the
space, with a byte-order mark, with ``\\"`` or ``""`` for a quote. ``###`` is an unreadable word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from crnn.files import storage
from pipelines.sources.files import may_be_there, readable_of, whole_files
from pipelines.sources.format import Folder, Format, Lacks, Opened, SourceOptions
from pipelines.sources.item import Item, ListedPaths, unusable
from pipelines.sources.labels import has_tabs
from pipelines.sources.ranged import numbered_lines

NAMES = ("gt.txt", "*_GT.txt", "*_gt.txt")
UNREADABLE = frozenset({"###", "#"})
"""Labels of words that a person couldn't read either."""
_LINE = re.compile(r"\s*(?P<path>.+?\.[A-Za-z]\w{2,4}|[^,]+?)\s*,[^\S\t]*(?P<text>.*)", re.DOTALL)


def _find(folder: Folder, options: SourceOptions, wanted: Sequence[str]) -> Sequence[str]:
    names = folder.selected(wanted, NAMES)
    for name in readable_of(folder.uri, names):
        if has_tabs(storage.join(folder.uri, name)):
            raise Lacks(f"commas: {name} has tabs, see labels")
        first = next(numbered_lines(storage.join(folder.uri, name)), None)
        if first and not first[2] and not _LINE.fullmatch(first[1]):
            raise Lacks(f"lines like 'word_1.png, \"text\"' in {name}, which begins {first[1]!r}")
    return names


def _items(source: Opened) -> Iterator[Item]:
    for name in source.names:
        paths = ListedPaths(lambda path: may_be_there(source.address(path)))
        for number, line, complaint in numbered_lines(source.address(name)):
            where = f"{name}:{number}"
            match = _LINE.fullmatch(line)
            if complaint or match is None:
                message = complaint or f"expected 'picture, \"text\"', found {line[:80]!r}"
                yield unusable(where, "bad_line", message)
                continue
            text = unquoted(match["text"])
            item = paths.pictured(where, match["path"], text)
            if text in UNREADABLE and not item.reason:
                message = f"the label {text} marks it as unreadable"
                item = item._replace(text="", reason="unreadable_label", message=message)
            yield item


def unquoted(text: str) -> str:
    """A label without the quotes around it, and quotes within it without what marks them."""
    bare = text.strip()
    if len(bare) < 2 or bare[0] != '"' or bare[-1] != '"':
        return text.rstrip()
    inner = bare[1:-1]
    if "\\" in inner:
        return re.sub(r'\\(["\\])', r"\1", inner)
    doubled = inner.replace('""', "")
    return inner.replace('""', '"') if '""' in inner and '"' not in doubled else inner


ICDAR = Format(find=_find, items=_items, reader=whole_files, of_files=True, names_pictures=True)
