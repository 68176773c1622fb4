"""The bundle that is served: the one that is named, else the shipped one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from crnn import storage
from crnn.bundle import BUNDLE_FILE, load_bundle
from crnn.errors import BundleError
from crnn.shipped import default_bundle
from jobs.serving.settings import ServeSettings


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A bundle that can be loaded."""

    settings: ServeSettings
    """With its absolute address and its digest."""
    name: str
    why: str
    """How it was chosen."""


def chosen(settings: ServeSettings) -> Chosen:
    """The bundle that these settings mean.

    Raises:
        BundleError: when none is given and there is none, or when it can't be loaded or has
            another digest than the one given.
    """
    uri, why = address(settings.bundle)
    bundle = load_bundle(uri, with_onnx=False)
    if settings.digest and settings.digest != bundle.digest:
        raise BundleError(
            f"{uri} has the digest {bundle.digest}, --digest is {settings.digest}; give "
            "the right bundle, or its digest"
        )
    return Chosen(
        settings=replace(settings, bundle=uri, digest=bundle.digest), name=bundle.name, why=why
    )


def address(given: str) -> tuple[str, str]:
    """The absolute address of the bundle to serve, and how it was chosen.

    Raises:
        BundleError: when none is given and there is none.
    """
    if given:
        return storage.absolute(given), "as given"
    trained = [path.parent for path in Path("runs").glob(f"*/bundle/{BUNDLE_FILE}")]
    if not trained:
        return default_bundle(), "shipped"
    newest = max(trained, key=lambda folder: (folder / BUNDLE_FILE).stat().st_mtime)
    return default_bundle(), f"shipped; for the newest trained here, --bundle {newest}"
