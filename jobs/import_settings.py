"""The flags of ``jobs/import_model.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from crnn.text.charset_file import charset_of

_Positional = tyro.conf.Positional


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What to import, and what is known of it."""

    source: Annotated[str, _Positional, tyro.conf.arg(metavar="SOURCE")]
    """An ONNX file (s3:// and gs:// too), a known package, or its wheel."""
    out: Annotated[str, _Positional, tyro.conf.arg(metavar="OUT")]
    """The bundle's folder, here or on an object store."""
    name: str = ""
    """The bundle's name; default: that of OUT."""
    characters: str = ""
    """File of the characters that the graph was trained with, one a line, in the order of its
    classes; default: the graph's metadata."""
    charset: str = ""
    """The characters to keep: a name such as digits or ascii_space, the characters themselves, or a
    .txt file of them; default: all."""
    height: int = 0
    """Height of its pictures, px, if the graph takes any height; default: that of the package."""
    widths: Annotated[tuple[int, ...], tyro.conf.arg(metavar="PX [PX ...]")] = ()
    """Bucket widths, px. Default: those of the package, else 2 to 64 heights; pictures for a graph
    of one width are stretched to it, and padded if it is given here."""
    narrow: bool = False
    """Add narrower buckets: words are read about twice as fast, but some with another text."""
    channel_order: Annotated[Literal["", "rgb", "bgr"], tyro.conf.arg(metavar="{rgb,bgr}")] = ""
    """Order of three channels, rgb or bgr. Default: that of the package, else rgb."""
    mean: Annotated[tuple[float, ...], tyro.conf.arg(metavar="X [X ...]")] = ()
    """Mean to subtract from pixels (0 to 1), one value or one for each channel. Default: 0.5."""
    std: Annotated[tuple[float, ...], tyro.conf.arg(metavar="X [X ...]")] = ()
    """Standard deviation to divide by, one value or one for each channel. Default: 0.5."""
    padding: int = -1
    """Grey value (0 to 255) that fills a picture up to its bucket's width. Default: 127."""
    shrinking: Annotated[Literal["", "area", "linear"], tyro.conf.arg(metavar="{area,linear}")] = ""
    """How larger pictures are scaled down, area or linear. Default: that of the package, else
    area."""
    blank: str = ""
    """Class of the CTC blank: first, last or a number. Default: what empty pictures are read as."""
    output_name: str = ""
    """Output of the graph that has the scores, if there are several."""
    licence: str = ""
    """Licence of the weights, for the model card. Default: the package's, else 'not stated'."""
    proof: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of pictures or prepared sets to compare on; default: rendered words."""
    pictures: int = 1000
    """Number of pictures to compare on, equally many from each folder."""
    least_agreement: float = 0.99
    """Least share of pictures (0 to 1) that must read as with the package's own code; below it,
    the exit status is 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "charset", charset_of(self.charset))
        if self.pictures < 1:
            raise ValueError(f"--pictures is {self.pictures}; expected at least 1")
        if self.blank not in ("", "first", "last") and not self.blank.isdecimal():
            raise ValueError(f"--blank is {self.blank!r}; expected first, last or a class number")
        if not -1 <= self.padding <= 255:
            raise ValueError(f"--padding is {self.padding}; expected a grey of 0 to 255")
        if self.narrow and self.widths:
            raise ValueError("--narrow goes with the default --widths; name the narrow ones there")
        if not 0 <= self.least_agreement <= 1:
            raise ValueError(f"--least-agreement is {self.least_agreement}; expected 0 to 1")
