"""Names of files made from addresses: safe everywhere, and no two the same."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any

from crnn.files import storage

_STEM_CHARS = 40
_DIGEST_BYTES = 8


def safe_name(uri: str, *parts: Any) -> str:
    """What can be read of the last part of the address, and a digest of all that is given.

    Letters, digits, ``_`` and ``-`` of ASCII, without a suffix: no address leads elsewhere.
    """
    digest = hashlib.blake2b(json.dumps([uri, *parts]).encode(), digest_size=_DIGEST_BYTES)
    bare = storage.split_options(uri)[0].rpartition("/")[2]
    bare = re.sub(r"\.[A-Za-z0-9]{1,7}(?=#|$)", "", bare)
    ascii_ = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_).strip("-")[:_STEM_CHARS].strip("-")
    return f"{stem}-{digest.hexdigest()}" if stem else digest.hexdigest()
