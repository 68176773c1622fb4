"""What ``POST /v1/pages`` answered for one file, as callers give it back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from pydantic.json_schema import models_json_schema

_REF = "#/components/schemas/{model}"


class _Strict(BaseModel):
    """Members have their own types; others mean nothing here."""

    model_config = ConfigDict(strict=True)


_Side = Annotated[int, Field(ge=1, le=1 << 31)]
_Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
_Point = tuple[FiniteFloat, FiniteFloat]


class GivenChar(_Strict):
    """A character as it was answered."""

    char: str
    probability: _Share
    x0: FiniteFloat
    x1: FiniteFloat


class GivenLine(_Strict):
    """A line as it was answered."""

    line: int
    text: str
    confidence: _Share
    region: tuple[_Point, _Point, _Point, _Point]
    chars: list[GivenChar] | None = None
    """What words have their places by; without them they are estimated."""
    turned: int = 0


class GivenPage(_Strict):
    """A page as it was answered: with lines, or with an error."""

    page: Annotated[int, Field(ge=1)]
    width: _Side | None = None
    height: _Side | None = None
    lines: list[GivenLine] | None = None
    error: dict[str, Any] | None = None


class GivenFile(_Strict):
    """A file's pages, or why it couldn't be opened."""

    id: str
    pages: list[GivenPage] | None = None


class Given(_Strict):
    """The answer for one file."""

    results: Annotated[list[GivenFile], Field(min_length=1, max_length=1)]


SCHEMAS: dict[str, Any] = models_json_schema([(Given, "validation")], ref_template=_REF)[1]["$defs"]
"""Their JSON schemas, by name."""
