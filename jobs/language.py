"""Give a bundle a language model, which helps it with what it can't read for sure.

    python jobs/language.py runs/first/bundle
    python jobs/language.py runs/first/bundle --words german.tsv --patterns codes.txt
    python jobs/language.py runs/first/bundle --texts labels.txt --use.weight 0.3
    python jobs/language.py runs/first/bundle --remove

Where a CTC probability is below --use.below, the bundle then weighs in how likely each text
is as a text (decoder "fusion"; "--decoder greedy" still reads without it). By default the model
knows English words as often as they occur in print, and numbers, dates, prices and codes, as
"synthesize" writes them; --words takes another list, --patterns adds texts of your own forms, and
--texts counts what is really written on your pictures instead. It is stored in the bundle, which
is changed in place and gets another digest; fit its confidences again with "calibrate". It helps
with words and running text. Measure it on your own pictures with "evaluate", above all where texts
are codes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.bundle.fusion_config import FusionConfig
from jobs import cli

if TYPE_CHECKING:
    from crnn.text.charset import Charset

_LINES = 12
"""One text in this many is a line of several words."""
_MOST_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class LanguageSettings:
    """Which bundle, and which texts."""

    bundle: tyro.conf.Positional[str]
    """The bundle: a folder, s3:// or gs:// address. It is changed in place."""
    words: str = ""
    """A UTF-8 file of words, each with its count after a tab. Default: the English list that is
    installed."""
    languages: tuple[str, ...] = ()
    """Languages, such as en:3 de fr, whose words to take instead of English ones; en:3 is drawn
    three times as often as the others."""
    patterns: str = ""
    """A UTF-8 file of regular expressions, as "synthesize" takes, e.g. INV-\\d{6}: texts of these
    too."""
    patterns_share: float = 0.25
    """Share of the texts that are drawn of --patterns, above 0 and below 1."""
    texts: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE [FILE ...]")] = ()
    """UTF-8 files of texts, a line each, instead of words and numbers."""
    count: int = 600_000
    """Number of texts to draw from the words, numbers and codes."""
    order: int = 6
    """Characters that are looked at together, 1 to 7."""
    prune: float = 10.0
    """Counts that are worth fewer nats over all texts are left out: more makes a smaller file."""
    seed: int = 0
    """Seed of the texts that are drawn."""
    use: FusionConfig = field(default_factory=FusionConfig)
    remove: bool = False
    """Remove the bundle's language model instead."""

    def __post_init__(self) -> None:
        given = [name for name in ("words", "languages", "texts") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"--{' and --'.join(given)} are given; expected one of them")
        if self.texts and self.patterns:
            raise ValueError("--texts and --patterns are given; expected one of them")
        if not 0 < self.patterns_share < 1:
            raise ValueError(
                f"--patterns-share is {self.patterns_share}; expected a share above 0 and below 1"
            )
        if self.count < 1:
            raise ValueError(f"--count is {self.count}; expected at least 1")


def main(argv: Sequence[str]) -> None:
    """Count, keep, and say what it is."""
    settings = cli.parse(LanguageSettings, argv, description=__doc__ or "")
    from crnn.bundle.bundle import load_bundle
    from crnn.bundle.changes import keep_language
    from crnn.decode import Fusion, LanguageModel

    bundle = load_bundle(settings.bundle, with_onnx=False)
    if settings.remove:
        digest = keep_language(settings.bundle, bundle, None)
        print(f"{settings.bundle} has no language model now; digest {digest}")
        return
    texts = texts_in(settings.texts) if settings.texts else drawn(settings, bundle.charset)
    language = LanguageModel.fit(
        texts, characters=bundle.charset.characters, order=settings.order, prune=settings.prune
    )
    digest = keep_language(settings.bundle, bundle, Fusion(language, settings.use))
    print(
        f"kept: {len(language.classes):,} counts after {len(language.keys):,} histories of up to "
        f"{settings.order - 1} characters; digest {digest}\n"
        f"next: crnn calibrate --bundle {settings.bundle} --data SET",
        flush=True,
    )


def texts_in(files: Sequence[str]) -> Iterator[str]:
    """The lines of these files that have text."""
    from crnn.decode.lexicon import read_lines

    for uri in files:
        yield from read_lines(uri, "text file")


def drawn(settings: LanguageSettings, charset: Charset) -> Iterator[str]:
    """Words, numbers, codes, some lines of these, and texts of the caller's patterns, as the
    renderer writes them."""
    from numpy.random import default_rng

    from jobs.progress import ProgressLines
    from pipelines.render.english import english_kinds, pick_weighted
    from pipelines.render.patterns import load_patterns, patterns_kind
    from pipelines.render.words import load_words

    rng, words, characters = (
        default_rng(settings.seed),
        load_words(settings.words, settings.languages),
        charset.characters,
    )
    kinds = english_kinds(characters, words, "all", max_length=_MOST_CHARACTERS)
    lines = kinds
    if " " in characters:
        lines = english_kinds(characters, words, "all", max_length=_MOST_CHARACTERS, lines=True)
    weights = [{name: kind.weight for name, kind in some.items()} for some in (kinds, lines)]
    ours = None
    if settings.patterns:
        ours = patterns_kind(load_patterns(settings.patterns), characters, _MOST_CHARACTERS)
    progress = ProgressLines("drawing", unit="texts")
    for number in range(settings.count):
        if ours and rng.random() < settings.patterns_share:
            yield ours.draw(rng)
        else:
            several = number % _LINES == 0
            yield (lines if several else kinds)[pick_weighted(rng, weights[several])].draw(rng)
        if number % 10_000 == 0:
            progress(number, settings.count)
    progress(settings.count, settings.count)


if __name__ == "__main__":
    cli.run(main)
