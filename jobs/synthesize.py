"""Render words and lines as shards for training and evaluation.

    python jobs/synthesize.py shards/words --count 100000 --style full --fonts ~/fonts
    python jobs/synthesize.py shards/lines --count 50000 --style full --lines
    python jobs/synthesize.py --count 0 --style full --preview sheet.png
    python jobs/synthesize.py shards/ours --count 50000 --patterns codes.txt --charset chars.txt

OUT may be local, s3:// or gs://. The same settings and fonts give the same bytes on any number of
workers. If it is killed, the same command continues where it stopped. --preview writes a sheet of
samples with their labels; with --count 0, only that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.files import storage
from crnn.text.charset_file import charset_of
from jobs import cli
from jobs.flags import ClusterAddress
from jobs.progress import ProgressLines

with cli.importing():
    from pipelines.render.config import Content, RenderConfig, check_inputs, words_left_out
    from pipelines.render.fonts import FontSplit
    from pipelines.render.patterns import load_patterns
    from pipelines.render.style import named_style
    from pipelines.render.texts import TextSplit

if TYPE_CHECKING:
    from pipelines.manifest import Manifest

WORD_LENGTH = 24
LINE_LENGTH = 48
_ENGLISH_CHARSET = "ascii"
_LINES_CHARSET = "ascii_space"
_CODES_CHARSET = "codes"


@dataclass(frozen=True, kw_only=True)
class SynthesizeSettings:
    """A rendered set: what is written, in which fonts, in which style, and where to."""

    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[OUT]")] = ""
    """Folder for the shards: a path, s3:// or gs:// address. Not needed with --count 0."""
    count: int
    """Pictures to render; 0: none, only a preview."""
    seed: int = 0
    """Seed of the texts and pictures."""

    # texts
    content: Content = "english"
    """english: words, numbers, prices, addresses; codes: digits, dates, amounts and codes."""
    lines: bool = False
    """Lines of several words instead of single words."""
    words: str = ""
    """Your word list, lines of word<TAB>count, words may contain spaces; those that the charset
    can't write are counted and named. Default: 82,765 English words with frequencies."""
    languages: tuple[str, ...] = ()
    """Languages, such as de fr pl tr, whose words to draw by their frequency instead of English
    ones (English is en; en:3 is drawn three times as often as the others); goes with --charset
    latin, greek or cyrillic, or your own."""
    patterns: str = ""
    """File of regular expressions to draw texts from too, lines of pattern<TAB>weight, such as
    [A-Z]{2}-\\d{4}; together as likely as all other texts, unless --kinds weights patterns."""
    locales: tuple[str, ...] = ()
    """Locales, such as de_DE fr_CH, whose dates and amounts to draw too."""
    charset: str = ""
    """A charset's name (ascii, latin, greek, cyrillic …), its characters, or a .txt file of them;
    default: ascii, with --lines ascii_space."""
    max_length: int = 0
    """Maximum number of characters of a text; 0: 24, with --lines 48, for codes 12."""
    kinds: Mapping[str, float] = field(default_factory=dict)
    """Weights by kind of text, e.g. word 5 price 1; default: all that the charset can write."""
    texts: TextSplit = "train"
    """Which part of the texts; train and held_out sets share no text. all: any text."""

    # fonts
    fonts: tuple[str, ...] = ()
    """Folders with more fonts: ttf, otf, ttc, woff, woff2. All nodes must see the same files
    there."""
    packaged_fonts: bool = True
    """Also use the fonts of installed packages."""
    system_fonts: bool = True
    """Also use the fonts of this machine; on several nodes they are left out."""
    families: FontSplit = "train"
    """Which part of the font families; train and held_out sets share no family. all: any family."""

    # pictures
    style: str = "plain"
    """plain: clean print, as scanned; full: text as in photographs."""
    adjust: Mapping[str, float] = field(default_factory=dict)
    """Amounts of the style to change, e.g. blur_em 0.02 contrast_low 60; pipelines/render/style.py
    lists all of them with units."""
    backgrounds: str = ""
    """Folder of photographs to use as backgrounds (full style); default: generated ones."""

    # run
    part_rows: int = 0
    """Pictures for each task; 0: from 512 to 16384, by --count."""
    overwrite: bool = False
    """Replace a set that was rendered with other settings; other files are never touched."""
    address: ClusterAddress = ""
    preview: str = ""
    """PNG file to write: samples with their labels."""
    preview_augment: str = ""
    """PNG file to write: the same samples augmented as in training."""
    preview_samples: int = 96
    """Number of samples on a preview."""

    def __post_init__(self) -> None:
        if self.count < 0 or self.preview_samples < 1:
            raise ValueError(
                f"--count is {self.count} and --preview-samples {self.preview_samples}; expected "
                "at least 0 and 1"
            )
        if self.count and not self.out:
            raise ValueError("OUT is missing; expected a folder for the shards")
        if not self.count and not (self.preview or self.preview_augment):
            raise ValueError("--count 0 needs --preview FILE.png: otherwise there is nothing to do")

    def render_config(self) -> RenderConfig:
        """The set these settings ask for; of the preview's size where no set is asked for."""
        english = self.content == "english"
        usual_charset = _LINES_CHARSET if self.lines else _ENGLISH_CHARSET
        usual_length = LINE_LENGTH if self.lines else WORD_LENGTH
        return RenderConfig(
            count=self.count or self.preview_samples,
            seed=self.seed,
            split=self.texts,
            fonts=self.families,
            font_folders=self.fonts,
            packaged_fonts=self.packaged_fonts,
            system_fonts=self.system_fonts,
            charset=charset_of(self.charset) or (usual_charset if english else _CODES_CHARSET),
            content=self.content,
            kinds=self.kinds or None,
            word_list=self.words,
            languages=self.languages,
            locales=self.locales,
            patterns=load_patterns(self.patterns) if self.patterns else (),
            lines=self.lines,
            max_length=self.max_length or (usual_length if english else RenderConfig.max_length),
            style=named_style(self.style, self.adjust),
            backgrounds=self.backgrounds,
            part_rows=self.part_rows,
            overwrite=self.overwrite,
        )


def main(argv: Sequence[str]) -> None:
    """Render as the arguments say, and print what came of it."""
    settings = cli.parse(SynthesizeSettings, argv, description=__doc__ or "")
    config = settings.render_config()
    check_inputs(config)
    for line in words_left_out(config):
        print(f"{settings.words or ' '.join(settings.languages)}: {line}", flush=True)
    if settings.preview or settings.preview_augment:
        _write_previews(settings, config)
    if not settings.count:
        return
    from ray.data import DataContext

    from jobs.cluster import connect
    from pipelines.render.synth import render_set

    connect(settings.address or None)
    DataContext.get_current().enable_progress_bars = False
    out = storage.absolute(settings.out)
    print(describe(out, render_set(out, config, ProgressLines("rendering"))), flush=True)


def _write_previews(settings: SynthesizeSettings, config: RenderConfig) -> None:
    from pipelines.render.sheets import augmented_sheet, sample_sheet

    for name, make in (
        (settings.preview, sample_sheet),
        (settings.preview_augment, augmented_sheet),
    ):
        if name:
            storage.write_bytes(name, make(config, settings.preview_samples))
            print(f"{settings.preview_samples} samples are on {name}", flush=True)


def describe(uri: str, manifest: Manifest) -> str:
    """What lies in a finished folder, in a few words."""
    return (
        f"{uri} is complete: {manifest.count:,} samples in {len(manifest.shards):,} shards, "
        f"{len(manifest.characters)} characters"
    )


if __name__ == "__main__":
    cli.run(main)
