"""Whole pages: words found and pages a second, beside RapidOCR and Tesseract, in one run.

pip install -e '.[pages]' && apt-get install tesseract-ocr && python bench/pages.py DIR…
python bench/pages.py DIR --most 4 --bundles bundles/mobile bundles/rapid --without tesseract
python bench/pages_http.py DIR    # the same over HTTP

A folder has pictures and what is on them: ``NAME.xml`` (ALTO or PAGE) beside each, or
``boxes/NAME.csv`` (eight corners and the text in a line). Words are what stands between spaces, of
which letters and digits count, in any case; they are compared page by page, wherever they stand. F1
is over all words of a folder.

Every reader has one thread and takes each page in its turn, from the encoded picture on. Pages a
second are of CPU time, so those that other work takes don't count, though it still slows caches.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sides import peers
from crnn import Recognizer
from crnn.pages import DbDetector, detector_graph
from crnn.pages.page import LONGEST_PX

BUNDLE = Path(__file__).resolve().parent.parent / "bundles" / "mobile"
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif"}
RAPID, TESSERACT = "rapidocr", "tesseract"
Words = Counter[str]
Read = Callable[[bytes], tuple[str, float]]
"""An encoded page → its text, and CPU seconds."""


@dataclass
class Score:
    """What a reader did on a folder."""

    right: int = 0
    found: int = 0
    labelled: int = 0
    pages: int = 0
    cpu_s: float = 0.0

    def add(self, text: str, label: Words, cpu_s: float) -> None:
        """Another page."""
        words = words_of(text)
        self.right += (words & label).total()
        self.found += words.total()
        self.labelled += label.total()
        self.pages += 1
        self.cpu_s += cpu_s

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of words, 0 to 100."""
        return 200 * self.right / max(1, self.found + self.labelled)

    @property
    def pages_per_s(self) -> float:
        """Of CPU time."""
        return self.pages / self.cpu_s


def words_of(text: str) -> Words:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = ("".join(filter(str.isalnum, word)) for word in folded.split())
    return Counter(filter(None, words))


def pages_in(folder: Path, most: int) -> Iterator[tuple[bytes, Words]]:
    """Encoded pages with their words; those without a label, or without a word, are left out."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    taken = 0
    for file in files:
        label = label_of(file, folder)
        if label and taken < most:
            taken += 1
            yield file.read_bytes(), words_of(label)


def label_of(picture: Path, folder: Path) -> str:
    boxes = folder / "boxes" / f"{picture.stem}.csv"
    if boxes.is_file():
        with boxes.open(encoding="utf-8", newline="") as file:
            return "\n".join(",".join(row[8:]) for row in csv.reader(file, quoting=csv.QUOTE_NONE))
    beside = picture.with_suffix(".xml")
    return "\n".join(_lines(beside)) if beside.is_file() else ""


def _lines(file: Path) -> Iterator[str]:
    """The lines of an ALTO or a PAGE file."""
    for line in ElementTree.parse(file).iter():
        if line.tag.rpartition("}")[2] != "TextLine":
            continue
        for part in line.iter():
            name = part.tag.rpartition("}")[2]
            if name == "String":
                yield part.get("CONTENT", "")
            elif name == "Unicode" and part.text:
                yield part.text
                break


def by_bundle(uri: str, longest_px: int) -> Read:
    recognizer = Recognizer.load(uri, threads=1)
    detector = DbDetector(graph=detector_graph(), longest_px=longest_px)

    def read(data: bytes) -> tuple[str, float]:
        before_s = time.process_time()
        lines = recognizer.read_page(data, detector=detector, chars=False)
        cpu_s = time.process_time() - before_s
        return "\n".join(line.text for line in lines), cpu_s

    return read


def by_rapidocr() -> Read:
    engine = peers.RapidRecognizer()

    def read(data: bytes) -> tuple[str, float]:
        before_s = time.process_time()
        lines = engine.read_page(peers.bgr(data))
        return "\n".join(lines), time.process_time() - before_s

    return read


def by_tesseract(data: bytes) -> tuple[str, float]:
    texts, cpu_s = peers.tesseract_pages([data])
    return texts[0], cpu_s


def readers(options: argparse.Namespace) -> dict[str, Read]:
    found = {Path(uri).name: by_bundle(uri, options.detect_px) for uri in options.bundles}
    if RAPID not in options.without:
        found[RAPID] = by_rapidocr()
    if TESSERACT not in options.without:
        found[TESSERACT] = by_tesseract
    return found


def measured(folder: Path, most: int, sides: dict[str, Read]) -> dict[str, Score]:
    scores = {name: Score() for name in sides}
    for number, (data, label) in enumerate(pages_in(folder, most)):
        if not number:  # models load, caches fill
            for read in sides.values():
                read(data)
        for name, read in sides.items():
            text, cpu_s = read(data)
            scores[name].add(text, label, cpu_s)
    return scores


def report(folder: Path, scores: dict[str, Score]) -> None:
    pages = next(iter(scores.values())).pages
    print(f"\n{folder.name}: {pages} pages, {next(iter(scores.values())).labelled} words")
    rapid = scores.get(RAPID)
    for name, score in scores.items():
        beside = ""
        if rapid is not None and score is not rapid:
            ratio = score.pages_per_s / rapid.pages_per_s
            beside = f"  {score.f1 - rapid.f1:+5.1f} points, {ratio:5.2f} times RapidOCR's pages/s"
        rate = f"{score.pages_per_s:6.3f} pages/s a core"
        print(f"  {name:<12} words F1 {score.f1:5.1f}  {rate}{beside}", flush=True)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, help="labelled pages")
    parser.add_argument("--bundles", nargs="+", default=[str(BUNDLE)])
    parser.add_argument("--most", type=int, default=10_000, help="pages of each folder")
    parser.add_argument("--detect-px", type=int, default=LONGEST_PX, help="as of crnn read")
    parser.add_argument("--without", nargs="*", default=[], choices=[RAPID, TESSERACT])
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sides = readers(options)
    for folder in options.folders:
        scores = measured(folder, options.most, sides)
        if not next(iter(scores.values())).pages:
            parser.error(f"{folder} has no labelled page; expected NAME.xml or boxes/NAME.csv")
        report(folder, scores)


if __name__ == "__main__":
    main(sys.argv[1:])
