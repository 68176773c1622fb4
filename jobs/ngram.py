"""Make a character n-gram of texts, for the beam decoder.

    python jobs/ngram.py words.txt words.json
    python jobs/ngram.py s3://b/labels.txt labels.json --order 4
    python jobs/read.py --ngram words.json crops/

TEXTS is a UTF-8 file with a text a line, such as the words or labels to expect; a text that
occurs more often counts more. OUT is the JSON file that --ngram of "read" and "recognize" takes.
An n-gram weighs in on every reading, and also for scripts that run from the right; "language"
puts a language model into a bundle, which helps with doubtful readings only and is stored there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tyro

from crnn.errors import DataError
from crnn.files import storage
from jobs import cli

if TYPE_CHECKING:
    from crnn.decode import CharNgram

_MOST_ORDER = 10


@dataclass(frozen=True, kw_only=True)
class NgramSettings:
    """Which texts, and where the n-gram goes."""

    texts: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEXTS")]
    """A UTF-8 file with a text a line: a path, s3:// or gs:// address."""
    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """The file to write (JSON): a path, s3:// or gs:// address. An n-gram there is replaced."""
    order: int = 5
    """Characters that are looked at together, 1 to 10."""

    def __post_init__(self) -> None:
        if not 1 <= self.order <= _MOST_ORDER:
            raise ValueError(f"--order is {self.order}; expected 1 to {_MOST_ORDER}")


def main(argv: Sequence[str]) -> None:
    """Count, write, and say how the n-gram is used."""
    settings = cli.parse(NgramSettings, argv, description=__doc__ or "")
    from crnn.decode import CharNgram

    texts = texts_in(settings.texts)
    _refuse_another_file(CharNgram, settings.out)
    ngram = CharNgram.train(texts, order=settings.order)
    ngram.save(settings.out)
    print(
        f"wrote {settings.out}: {len(texts):,} texts, {len(ngram.vocabulary):,} characters, "
        f"{settings.order} at a time\n"
        f"next: crnn read --ngram {settings.out} PICTURE",
        flush=True,
    )


def texts_in(uri: str) -> list[str]:
    """The lines of a file that have text.

    Raises:
        DataError: when the file is missing, not UTF-8, has no text, or has tabs: words with counts.
    """
    from crnn.decode.lexicon import read_lines

    texts = read_lines(uri, "text file")
    if not texts:
        raise DataError(f"the text file {uri} has no texts; expected one a line")
    with_tab = next((text for text in texts if "\t" in text), None)
    if with_tab is not None:
        raise DataError(
            f"the text file {uri} has a tab in {with_tab!r}; expected a text a line, without counts"
        )
    return texts


def _refuse_another_file(kind: type[CharNgram], uri: str) -> None:
    """Raise DataError for a file that is there and is no n-gram."""
    if not storage.exists(uri):
        return
    try:
        kind.load(uri)
    except DataError:
        raise DataError(
            f"{uri} is there and is not an n-gram; name another file to write"
        ) from None


if __name__ == "__main__":
    cli.run(main)
