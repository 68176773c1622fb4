"""The bundle that is served: the one that is named, else the shipped one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from crnn.bundle.bundle import BUNDLE_FILE, load_bundle
from crnn.bundle.shipped import default_bundle
from crnn.files import storage
from crnn.inference.doubt import Then, checked_digest, second_bundle
from crnn.pages.graph import PACKAGE, detector_graph
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
        DataError: as ``found_detector``.
    """
    uri, why = address(settings.bundle)
    settings = replace(settings, bundle=uri, then=settings.then and storage.absolute(settings.then))
    settings = replace(settings, detector=found_detector(settings.detector))
    bundle = load_bundle(uri, with_onnx=False)
    then = second(settings, with_onnx=False)
    digest = checked_digest(bundle, then, settings.digest, uri=uri, then_uri=settings.then)
    name = then.name(bundle) if then else bundle.name
    return Chosen(settings=replace(settings, digest=digest), name=name, why=why)


def second(settings: ServeSettings, *, with_onnx: bool = True) -> Then | None:
    """What reads what the bundle doubts, if anything; raises as ``load_bundle``."""
    return second_bundle(
        settings.then, below=settings.below, surer=settings.surer, with_onnx=with_onnx
    )


def found_detector(given: str) -> str:
    """The package's name, or the absolute address of an ONNX file, once it can be read.

    Raises:
        DataError: when there is no such file.
    """
    if given == PACKAGE:  # where it isn't installed, only whole pages can't be read
        return given
    uri = storage.absolute(given)
    detector_graph(uri)
    return uri


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
