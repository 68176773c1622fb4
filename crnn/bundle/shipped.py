"""The bundles that come with the project, beside the package in a checkout and when installed."""

from __future__ import annotations

from pathlib import Path

from crnn.bundle.bundle import BUNDLE_FILE
from crnn.errors import BundleError

SHIPPED_FOLDER = Path(__file__).resolve().parents[2] / "bundles"
DEFAULT_NAMES = ("mobile", "strings")
"""What reads where no bundle is named: the first of these that is there."""


def default_bundle(folder: Path = SHIPPED_FOLDER) -> str:
    """The folder of the bundle to use if none is named.

    Raises:
        BundleError: when none is included.
    """
    for name in DEFAULT_NAMES:
        if (folder / name / BUNDLE_FILE).is_file():
            return str(folder / name)
    raise BundleError(
        f"no bundle is named, and {folder} has none of {', '.join(DEFAULT_NAMES)}; give a bundle's "
        "folder or address, or train one with 'python jobs/train.py'"
    )
