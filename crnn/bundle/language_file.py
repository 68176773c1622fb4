"""``language.safetensors``: the language model that a bundle may have, and how it is used."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from crnn.bundle.fusion_config import FusionConfig
from crnn.bundle.json_file import BUNDLE_FILE, from_json, read_file
from crnn.decode.fusion import Fusion
from crnn.decode.language import LanguageModel
from crnn.errors import BundleError, DataError
from crnn.files import storage
from crnn.text.charset import Charset

LANGUAGE_FILE = "language.safetensors"


def write_language(uri: str, fusion: Fusion) -> dict[str, Any]:
    """Write the file into the bundle at ``uri``; what ``bundle.json`` says of it."""
    data = fusion.language.to_bytes()
    storage.write_bytes(storage.join(uri, LANGUAGE_FILE), data)
    return {
        "file": LANGUAGE_FILE,
        "sha256": hashlib.sha256(data).hexdigest(),
        "fusion": asdict(fusion.config),
    }


def read_language(uri: str, entry: dict[str, Any], charset: Charset) -> Fusion:
    """What ``bundle.json`` at ``uri`` states in ``entry``.

    Raises:
        BundleError: when the file is missing, damaged, another one, or can't be used for
            ``charset``.
    """
    data = read_file(uri, LANGUAGE_FILE)
    digest = hashlib.sha256(data).hexdigest()
    try:
        if digest != entry["sha256"]:
            raise BundleError(
                f"{uri}/{LANGUAGE_FILE} has SHA-256 {digest}, {BUNDLE_FILE} states "
                f"{entry['sha256']}; the bundle is damaged, or its files are of two bundles: "
                "copy it again"
            )
        fusion = Fusion(LanguageModel.from_bytes(data), from_json(FusionConfig, entry["fusion"]))
        fusion.check(charset)
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise BundleError(
            f"{uri}/{LANGUAGE_FILE} or its entry in {BUNDLE_FILE}: {error}; add the language "
            "model again with crnn language"
        ) from error
    return fusion
