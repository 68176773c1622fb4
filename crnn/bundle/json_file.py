"""``bundle.json``: what a bundle says of itself, read and written.

Its fields are those of small frozen classes; which they are, ``crnn.bundle.bundle`` says.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, TypeVar

from crnn.bundle.calibration import ConfidenceBin
from crnn.bundle.card import model_card
from crnn.bundle.reliability import RELIABILITY_FILE, reliability_svg
from crnn.errors import BundleError, DataError
from crnn.files import storage

BUNDLE_FILE = "bundle.json"
CARD_FILE = "MODEL_CARD.md"
FORMAT_VERSION = 1
_Settings = TypeVar("_Settings")


def read_about(uri: str) -> dict[str, Any]:
    """What ``bundle.json`` of the bundle at ``uri`` says, of this program's format version.

    Raises:
        BundleError: when it is missing, no JSON, or of another version.
    """
    try:
        about = json.loads(read_file(uri, BUNDLE_FILE))
    except ValueError as error:
        raise BundleError(f"{uri}/{BUNDLE_FILE} is not JSON: {error}") from error
    version = about.get("format_version") if isinstance(about, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{uri} has bundle format version {version!r}, this program reads {FORMAT_VERSION}; "
            "load it with the program that wrote it, or save it again"
        )
    return dict(about)


def read_file(uri: str, file: str) -> bytes:
    """A file of the bundle at ``uri``; raises BundleError when it isn't there."""
    try:
        return storage.read_bytes(storage.join(uri, file))
    except FileNotFoundError:
        if not storage.exists(uri):
            raise BundleError(
                f"{uri}: no such bundle; give the folder that holds {BUNDLE_FILE}"
            ) from None
        raise BundleError(
            f"{uri} has no {file}: the bundle is unfinished, or this is another folder; save it "
            "again, or give its folder"
        ) from None
    except DataError as error:
        raise BundleError(f"{error}; a bundle is the folder that holds {BUNDLE_FILE}") from error


def finish(uri: str, text: str, *, num_parameters: int | None) -> None:
    """Write the card with its plot and, last, ``text`` as ``bundle.json``.

    Args:
        num_parameters: of the weights; None where ``text`` itself tells.
    """
    about = json.loads(text)
    bins = [ConfidenceBin(**entry) for entry in about.get("reliability", ())]
    if bins:
        plot = reliability_svg(bins)
        storage.write_bytes(storage.join(uri, RELIABILITY_FILE), plot.encode())
    card = model_card(about, num_parameters=num_parameters)
    storage.write_bytes(storage.join(uri, CARD_FILE), card.encode())
    storage.write_bytes(storage.join(uri, BUNDLE_FILE), text.encode())


def from_json(kind: type[_Settings], values: dict[str, Any]) -> _Settings:
    """The frozen class ``kind`` of a JSON object; raises ValueError for a field it hasn't."""
    if not isinstance(values, dict):
        raise ValueError(f"the settings of {kind.__name__} are {values!r}; expected an object")
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown settings {unknown} of {kind.__name__}; it has {known}")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return kind(**given)


def to_json(about: dict[str, Any]) -> str:
    """The text of ``bundle.json``; raises ValueError for what JSON has no words for."""
    try:
        return json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"metrics, name and digest must be plain finite JSON: {error}") from error
