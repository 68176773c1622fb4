"""Flags that several jobs have, each with its one line of help; see ``crnn.shared_settings``."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import Doc

ClusterAddress = Annotated[
    str, Doc("Ray cluster to use; default: $RAY_ADDRESS, else a local one is started.")
]
BundleAddress = Annotated[str, Doc("The bundle: a folder, s3:// or gs:// address.")]
BundleOrIncluded = Annotated[
    str,
    Doc(
        "The bundle: a folder, s3:// or gs:// address. Default: bundles/mobile, which is included."
    ),
]
BundleDigest = Annotated[
    str,
    Doc(
        "Digest (SHA-256) that the bundle must have (with --then, that of both together); a bundle "
        "with another digest is refused."
    ),
]
