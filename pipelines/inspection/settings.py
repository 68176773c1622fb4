"""What an inspection looks for, and against which model."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from crnn.images.contract import PictureContract
from crnn.model.config import ModelConfig
from crnn.text.charset import Charset
from crnn.text.charset_file import charset_of
from pipelines.sources import SourceOptions

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class ReadConfig(SourceOptions):
    """How labelled pictures are read where they lie, prepared or not."""

    format: str = AUTO
    """Format of sources that aren't prepared: auto, labels, label-studio, pairs, names, mjsynth,
    icdar, scene, lmdb, webdataset, parquet, pages or results."""
    lists: tuple[str, ...] = ()
    """Which list files of such sources to read, e.g. annotation_train.txt; default: all."""
    limit: int = 0
    """Maximum number of samples of each set, taken from its beginning; 0: all."""
    decode_memory_mb: int = 2048
    """Memory limit for decoding a picture of a source, MiB; one that needs more is an error."""
    decode_timeout_s: float = 30.0
    """Time limit for decoding a picture of a source, seconds; a slower one is an error."""

    def __post_init__(self) -> None:
        self._at_least("limit", 0)
        self._at_least("decode_memory_mb", 256)
        if not self.decode_timeout_s > 0:
            raise ValueError(f"--decode-timeout-s is {self.decode_timeout_s}; expected above 0")

    def _at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} is {getattr(self, name)}; expected at least {least}")

    @property
    def options(self) -> SourceOptions:
        """What is said of the sources."""
        known = fields(SourceOptions)
        return SourceOptions(**{field.name: getattr(self, field.name) for field in known})


@dataclass(frozen=True, kw_only=True)
class InspectConfig(ReadConfig):
    """What is looked for in labelled pictures."""

    charset: str = AUTO
    """Labels with other characters are errors: auto (the data's own: no errors), a name such as
    digits, alnum, codes, ascii, the characters themselves, or a .txt file of them."""
    examples: int = 8
    """Number of examples shown for each finding."""
    rare_below: int = 10
    """Characters that occur less often are reported as rare."""
    least_height: int = 8
    """Pictures lower than this, px, are reported as tiny."""
    least_width: int = 4
    """Pictures narrower than this, px, are reported as tiny."""
    bundle: str = ""
    """Trained bundle, a folder or address: labels that it contradicts are reported, the most
    confident first."""
    contradicted_from: float = 0.9
    """Lowest confidence (0 to 1) at which a reading of the bundle contradicts a label."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network to train; its number of time steps limits the length of labels."""
    picture: PictureContract = field(default_factory=PictureContract)
    """Size and preparation of the pictures that it gets."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "charset", charset_of(self.charset))
        if self.charset != AUTO:
            Charset.named(self.charset)
        for name, least in (("examples", 1), ("rare_below", 0),
                            ("least_height", 1), ("least_width", 1)):  # fmt: skip
            self._at_least(name, least)
        if not 0 <= self.contradicted_from <= 1:
            raise ValueError(
                f"--contradicted-from is {self.contradicted_from}; expected a confidence, 0 to 1"
            )
