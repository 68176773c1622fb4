"""Which pictures are compared, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.images.contract import PictureContract
from pipelines.inspection.settings import ReadConfig


@dataclass(frozen=True, kw_only=True)
class CompareConfig(ReadConfig):
    """How sets of labelled pictures are read and measured."""

    height: int = PictureContract().height
    """Height of the pictures as the model sees them, px."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.height < 8:
            raise ValueError(f"--height is {self.height}; expected at least 8 px")
