"""What a bundle reads of labelled sets in one thread: its readings, and how many are right."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from bench.sides.labelled import LabelledSet
from crnn.bundle.calibration import Calibration
from crnn.decode import Decoded, Decoder
from crnn.decode.greedy import greedy
from crnn.inference.recognizer import Recognizer
from crnn.text.charset import Charset
from crnn.text.metrics import Sums, alnum_form, score

CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one tool read of one set, or of several."""

    sums: Sums
    cpu_s: float
    """CPU seconds of one core, decoding included."""
    measured: str = ""
    """The day, where it wasn't in this run."""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            sums=self.sums + other.sums,
            cpu_s=self.cpu_s + other.cpu_s,
            measured=self.measured or other.measured,
        )

    @property
    def rate(self) -> str:
        """Pictures in a second of one core's time."""
        rate = f"{self.sums.count / self.cpu_s:,.0f}" if self.cpu_s else ""
        return f"{rate} on {self.measured}" if self.measured else rate


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A bundle's reading of one picture."""

    set: str
    id: str
    label: str
    text: str
    log_probability: float
    """CTC's, before any calibration."""

    @property
    def right(self) -> bool:
        """By letters and digits, in any case."""
        return alnum_form(self.text) == alnum_form(self.label)


@dataclass(frozen=True, kw_only=True)
class BundleRead:
    """What a bundle read of all sets."""

    name: str
    calibration: Calibration
    """The bundle's."""
    readings: list[Reading]
    outcomes: dict[str, Outcome]
    """By set."""


def counted(texts: Sequence[str], labels: Sequence[str], cpu_s: float) -> Outcome:
    return Outcome(sums=sum(map(score, texts, labels), Sums()), cpu_s=cpu_s)


def without(forbidden: str) -> Decoder:
    """Best paths through the other characters, whose probabilities add up to one."""

    def decode(log_probs_TNC: torch.Tensor, charset: Charset) -> Sequence[Decoded]:
        ids = torch.tensor(charset.encode(forbidden))
        return greedy(log_probs_TNC.index_fill(2, ids, -math.inf).log_softmax(2), charset)

    return decode


def read_with(
    uri: str, sets: Sequence[LabelledSet], engine: str, *, forbidden: str = ""
) -> BundleRead:
    """A bundle's readings in one thread, in batches as bulk jobs make them.

    ``forbidden`` are characters that it may not read.
    """
    decoder = without(forbidden) if forbidden else None
    recognizer = Recognizer.load(uri, engine=engine, threads=1)
    bundle = recognizer.bundle
    recognizer.bundle = replace(bundle, calibration=Calibration())  # confidence is probability
    recognizer.read(sets[0].pictures[:CHUNK])  # builds the engine
    readings: list[Reading] = []
    outcomes = {}
    for one in sets:
        began_s = time.process_time()
        results = recognizer.read(one.pictures, decoder=decoder, chars=False)
        cpu_s = time.process_time() - began_s
        outcomes[one.name] = counted([result.text for result in results], one.labels, cpu_s)
        readings += [
            Reading(
                set=one.name,
                id=picture_id,
                label=label,
                text=result.text,
                log_probability=math.log(result.confidence) if result.confidence else -math.inf,
            )
            for picture_id, label, result in zip(one.ids, one.labels, results, strict=True)
        ]
    name = f"{bundle.name} {bundle.digest[:8]}, {recognizer.engine}"
    name += f", without {forbidden!r}" if forbidden else ""
    return BundleRead(
        name=name, calibration=bundle.calibration, readings=readings, outcomes=outcomes
    )
