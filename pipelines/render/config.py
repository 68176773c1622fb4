"""What a rendered set holds: its configuration, the kinds of text, and the recipe that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from crnn.errors import DataError
from crnn.text.charset import Charset
from pipelines.render.english import english_kinds, left_out, writable
from pipelines.render.fonts import Font, FontSplit, find_fonts, folder_files, select_fonts
from pipelines.render.glyphs import check_shaping
from pipelines.render.locales import check_locales, locale_kinds
from pipelines.render.patterns import Pattern, patterns_kind
from pipelines.render.photos import list_photos
from pipelines.render.style import PLAIN, StyleConfig
from pipelines.render.texts import (
    MAX_LENGTH,
    TextKind,
    TextSplit,
    chars_kind,
    kinds_for,
    on_side,
    weighted,
    words_kind,
)
from pipelines.render.words import WordList, load_words

Content = Literal["codes", "english"]

RENDERER_VERSION = 3
"""Raised when the same configuration gives other pictures than before."""
PARTS_WANTED = 32
PART_ROWS = (512, 16384)
"""Least and most pictures of one task: some seconds of work, a shard of at most 100 MB."""
LOCAL_SHARE = 0.25
"""Weight of a locale's dates, and of its amounts, beside that of all other kinds."""
_NEEDED = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""What each face must have where a face need not have everything; as far as it is asked for."""


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """What a rendered set holds. Which fonts packages and systems have is not part of it."""

    count: int
    """Pictures in the set."""
    seed: int = 0
    """Another seed, other texts and pictures."""
    split: TextSplit = "train"
    """Side of the texts: no text of a ``held_out`` set can be in a ``train`` set; ``all``: any."""
    fonts: FontSplit = "train"
    """Families that training may see, those it never sees, or all."""
    font_folders: tuple[str, ...] = ()
    """Folders with more fonts; on several nodes all must see the same files there."""
    packaged_fonts: bool = True
    """Also the fonts of installed packages."""
    system_fonts: bool = True
    """Also the fonts of this machine's folders; on several nodes they are left out."""
    charset: str = "codes"
    """A charset's name, or the characters themselves."""
    content: Content = "codes"
    """codes: digits, dates, amounts and codes; english: words, numbers and addresses."""
    kinds: Mapping[str, float] | None = None
    """Weights by kind of text; None: all that the charset can write, as usual."""
    words: tuple[str, ...] = ()
    """Instead of kinds: texts to choose from; the charset is then that of the words."""
    word_list: str = ""
    """Address of the word list for english, lines of word<TAB>count; empty: the installed one."""
    languages: tuple[str, ...] = ()
    """Codes of languages, such as de fr, whose words to draw in place of English ones."""
    patterns: tuple[Pattern, ...] = ()
    """Regular expressions to draw texts from too, as often as all other kinds together unless
    ``kinds`` says otherwise."""
    locales: tuple[str, ...] = ()
    """Locales such as de_DE: their dates and amounts too, each a quarter as often as all else."""
    lines: bool = False
    """english: several words a picture."""
    min_length: int = 2
    """Minimum number of characters of a random string."""
    max_length: int = MAX_LENGTH
    """Maximum number of characters of a random string; in english, of any text."""
    style: StyleConfig = field(default=PLAIN)
    """How varied the pictures are."""
    backgrounds: str = ""
    """Folder of photographs to lay text on; on several nodes all must see the same files there."""
    part_rows: int = 0
    """Pictures that one task renders; 0: by the count. The samples don't depend on it."""
    overwrite: bool = False
    """Replace a rendered set of another configuration instead of refusing to."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count is {self.count}; expected at least 1 picture")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")
        if self.split not in ("train", "held_out", "all"):
            raise ValueError(f"split is {self.split!r}; expected 'train', 'held_out' or 'all'")
        if self.content not in ("codes", "english"):
            raise ValueError(f"content is {self.content!r}; expected 'codes' or 'english'")
        if self.part_rows < 0:
            raise ValueError(f"part_rows is {self.part_rows}; expected 0 (automatic) or more")
        if self.words and (self.patterns or self.locales):
            raise ValueError("words and patterns or locales are given; expected one of them")
        check_locales(self.locales)
        if self.word_list and self.languages:
            raise ValueError("both a word_list and languages are given; expected one of them")
        if self.words and self.kinds is not None:
            raise ValueError("both words and kinds are given; expected one of them")
        if self.content == "codes":
            if self.lines or self.word_list or self.languages:
                raise ValueError("lines, word_list and languages go with content 'english'")
            text_kinds(self)
        elif self.words:
            raise ValueError("words go with content 'codes'; for 'english' give a word_list")

    @property
    def rows_a_part(self) -> int:
        """Pictures that one task renders."""
        least, most = PART_ROWS
        return self.part_rows or min(most, max(least, -(-self.count // PARTS_WANTED)))

    def from_anywhere(self) -> RenderConfig:
        """The same for tasks, which may work in another folder: with whole paths."""
        whole = {
            name: str(Path(getattr(self, name)).absolute())
            for name in ("backgrounds", "word_list")
            if getattr(self, name)
        }
        return replace(self, **whole)  # type: ignore[arg-type]


def text_kinds(config: RenderConfig) -> dict[str, TextKind]:
    """The kinds of text that a configuration asks for, with their weights.

    Raises:
        ValueError: unknown kinds, weights that are none, or impossible lengths.
        DataError: no word list, or a charset that can't write anything in it.
    """
    if config.words:
        return {"words": words_kind(config.words)}
    characters = Charset.named(config.charset).characters
    if config.content == "english":
        kinds = _english(
            characters,
            config.word_list,
            config.languages,
            config.split,
            config.max_length,
            config.lines,
        )
        kinds = _with_own(kinds, config, characters)
        return kinds if config.kinds is None else weighted(kinds, config.kinds)
    lengths = {"min_length": config.min_length, "max_length": config.max_length}
    random_strings = chars_kind(characters, **lengths)
    kinds = _with_own(kinds_for(characters, **lengths), config, characters)
    if config.kinds is None:
        return kinds
    return weighted({"chars": random_strings, **kinds}, config.kinds)


def _with_own(
    kinds: Mapping[str, TextKind], config: RenderConfig, characters: str
) -> dict[str, TextKind]:
    """The kinds, those of the locales, and that of the caller's patterns."""
    found = dict(kinds)
    if config.locales:
        weight = LOCAL_SHARE * sum(kind.weight for kind in kinds.values())
        local = locale_kinds(config.locales, characters, config.max_length)
        found |= {name: replace(kind, weight=weight) for name, kind in local.items()}
    if config.patterns:
        ours = patterns_kind(config.patterns, characters, config.max_length)
        found["patterns"] = replace(ours, weight=sum(kind.weight for kind in found.values()))
    return found


def check_inputs(config: RenderConfig) -> None:
    """A look at what the configuration names, before anything is claimed or started.

    Raises:
        DataError: a word list, a font folder or a folder of photographs is missing or empty, the
            charset can't write anything, or Pillow can't draw its scripts here.
    """
    check_shaping("".join(kind.characters for kind in text_kinds(config).values()))
    recipe_of(config)


@lru_cache(maxsize=8)
def _english(
    characters: str,
    word_list: str,
    languages: tuple[str, ...],
    split: TextSplit,
    max_length: int,
    lines: bool,
) -> dict[str, TextKind]:
    words = load_words(word_list, languages)
    if word_list or languages:
        name = word_list or f"the languages {' '.join(languages)}"
        _check_words(words, name, characters, split, max_length)
    return english_kinds(characters, words, split, max_length=max_length, lines=lines)


def _check_words(
    words: WordList, name: str, characters: str, split: TextSplit, max_length: int
) -> None:
    """Raise DataError when nothing of the caller's list would ever be drawn."""
    ours = writable(words, characters, max_length)
    if not ours.words:
        raise DataError(
            f"none of the words of {name} can be drawn: "
            f"{'; '.join(left_out(words, characters, max_length))}"
        )
    if not ours.only(lambda word: on_side(word, split)).words:
        raise DataError(
            f"none of the {len(ours.words):,} words of {name} belongs to the {split!r} side; give "
            "more words, or take them all with --texts all"
        )


def words_left_out(config: RenderConfig) -> list[str]:
    """What is to be said of the caller's word list: which words are never drawn, and why."""
    if not (config.word_list or config.languages):
        return []
    characters = Charset.named(config.charset).characters
    words = load_words(config.word_list, config.languages)
    return left_out(words, characters, config.max_length)


def chosen_fonts(config: RenderConfig, *, system: bool) -> tuple[Font, ...]:
    """This machine's faces for a configuration, sorted by key.

    Raises:
        DataError: when there is none.
    """
    return select_fonts(all_fonts(config, system=system), config.fonts)


def all_fonts(config: RenderConfig, *, system: bool) -> tuple[Font, ...]:
    """The faces of both sides.

    Codes are written by faces that have every character; for english a face may lack some, and
    then writes only what it can.
    """
    characters = "".join(
        sorted({c for kind in text_kinds(config).values() for c in kind.characters})
    )
    needed = None
    if config.content == "english":
        needed = "".join(c for c in _NEEDED if c in characters) or None
    return find_fonts(
        characters,
        needed=needed,
        folders=config.font_folders,
        packaged=config.packaged_fonts,
        system=system and config.system_fonts,
        builds=config.style.asks_for_builds,
    )


def key_of(*configs: RenderConfig) -> str:
    """A short name for sets of these configurations by this renderer, alike on every machine."""
    return hashlib.sha256(repr((RENDERER_VERSION, configs)).encode()).hexdigest()[:12]


def recipe_of(config: RenderConfig) -> dict[str, Any]:
    """All that decides the data but the installed fonts, in values that JSON keeps as they are."""
    left_out = {"words", "style", "overwrite", "part_rows", "charset"}
    optional = ("patterns", "locales", "languages")
    left_out |= {name for name in optional if not getattr(config, name)}
    plain = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in left_out}
    words = hashlib.sha256("\n".join(config.words).encode()).hexdigest() if config.words else ""
    recipe = {
        "made_by": "render",
        "renderer_version": RENDERER_VERSION,
        **plain,
        "kinds": None if config.kinds is None else dict(config.kinds),
        "charset": Charset.named(config.charset).characters,
        "words_digest": words,
        "word_list_digest": _word_list_digest(config),
        "fonts_digest": _files_digest(folder_files(config.font_folders)),
        "backgrounds_digest": _files_digest(map(Path, list_photos(config.backgrounds))),
        "style": _style_of(config.style),
        "part_rows": config.rows_a_part,
    }
    return dict(json.loads(json.dumps(recipe)))


def _style_of(style: StyleConfig) -> dict[str, Any]:
    """Its amounts; those of printing dot by dot, which older sets don't know, where it is done."""
    dots = set() if style.dots_share else {"dots_share", "dots", "dots_apart_share"}
    return {name: amount for name, amount in asdict(style).items() if name not in dots}


def _word_list_digest(config: RenderConfig) -> str:
    if config.content != "english":
        return ""
    words = load_words(config.word_list, config.languages)
    return hashlib.sha256(repr((words.words, words.counts.tolist())).encode()).hexdigest()


def _files_digest(paths: Iterable[Path]) -> str:
    """By name and size: whether the same files are there, at little cost."""
    files = [f"{path.name} {path.stat().st_size}" for path in paths]
    return hashlib.sha256("\n".join(files).encode()).hexdigest() if files else ""
