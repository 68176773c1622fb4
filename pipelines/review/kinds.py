"""The kind of a reading, and which texts are least alike.

Labels are expensive: of many doubtful readings a person should see some of each kind, and
none that is nearly the same as one before.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crnn.text.charset import normalise
from pipelines.recognition.finished import parent

CHARACTERS, FOLDER, LENGTH = "characters", "folder", "length"
"""What may make a kind."""
_DIMENSIONS = 256
_LONGEST_NGRAM = 3


def kind_of(by: str, uri: str, text: str | None) -> str:
    """The kind of a reading: by its characters, its length, or the folder of its picture."""
    if by == FOLDER:
        return parent(uri)
    if not text:
        return "no text"
    if by == LENGTH:
        least = 1 << (len(text).bit_length() - 1)
        return f"{least} to {2 * least - 1} characters" if least > 1 else "1 character"
    return _of_characters(text)


def _of_characters(text: str) -> str:
    bare = normalise("".join(text.split()))
    has_letters, has_digits = any(map(str.isalpha, bare)), any(map(str.isnumeric, bare))
    words = [name for name, there in (("letters", has_letters), ("digits", has_digits)) if there]
    if not all(c.isalpha() or c.isnumeric() for c in bare):
        words.append("signs")
    return " and ".join(words) + (", several words" if len(text.split()) > 1 else "")


def farthest_first(texts: Sequence[str], first: int) -> Iterator[int]:
    """Places of all texts: ``first``, then always the one least like all those before it.

    The greedy solution of the k-center problem (Gonzalez 1985); two texts are as alike as the
    cosine between their ``vector_of``. Of equals the first one comes first.
    """
    vectors = np.stack([vector_of(text) for text in texts])
    nearest = np.full(len(texts), -1.0, dtype=np.float32)
    place = first
    for _ in texts:
        yield place
        np.maximum(nearest, vectors @ vectors[place], out=nearest)
        nearest[place] = np.inf
        place = int(nearest.argmin())


def vector_of(text: str) -> NDArray[np.float32]:
    """A text's n-grams of one to three characters, hashed, with both ends marked; of length 1."""
    marked = f"\x02{text}\x03"
    counts = np.zeros(_DIMENSIONS, dtype=np.float32)
    for size in range(1, _LONGEST_NGRAM + 1):
        for start in range(len(marked) - size + 1):
            ngram = marked[start : start + size].encode("utf-8", "surrogatepass")
            counts[zlib.crc32(ngram) % _DIMENSIONS] += 1
    np.sqrt(counts, out=counts)
    return counts / np.linalg.norm(counts)
