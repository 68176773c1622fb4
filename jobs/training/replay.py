"""Rendered words of what a bundle reads already, trained on beside other data.

A network that learns new pictures alone forgets the old ones, and the characters that the new ones
lack. So words and lines of the old characters are rendered, as a share of every epoch, and some
more, of other texts, on which what was lost is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace

from crnn.bundle.bundle import Bundle
from crnn.errors import DataError
from crnn.files import storage
from crnn.model.network import CRNN
from crnn.text.charset import Charset, normalise
from crnn.training.old_network import OldNetwork
from jobs.progress import ProgressLines
from jobs.training.settings import DATA_FOLDER, TrainSettings
from pipelines.manifest import MANIFEST_NAME
from pipelines.render.config import RenderConfig, check_inputs, chosen_fonts, key_of
from pipelines.render.style import FULL
from pipelines.render.synth import id_prefix, render_set
from pipelines.stream import flow
from pipelines.stream.plan import StreamSource

REPLAYED = "replay"
MOST_RENDERED = 50_000
"""Pictures; if all epochs need more, they are repeated."""
LINES_SHARE = 0.25
"""Share of the pictures that are lines, if the charset has a space."""
KEPT_SAMPLES = 1000
WORD_LENGTH, LINE_LENGTH = 24, 48
_LEAST_PART = 64
_PARTS_AN_EPOCH = 4
_SEED = 24_000
"""Added to the run's: ids unlike those of words that a caller has rendered."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Rendered words beside the data."""

    sources: tuple[StreamSource, ...] = ()
    """To train on; each says how many samples it adds to an epoch."""
    kept: tuple[str, ...] = ()
    """Addresses of sets with other texts, never trained on."""
    characters: str = ""
    """Those that are not to be forgotten."""
    digests: tuple[str, ...] = ()
    """Digests of the manifests of ``sources``."""
    id_prefixes: tuple[str, ...] = ()
    """What the ids of its samples begin with."""

    def network(self, start: Bundle, charset: Charset, own: CRNN) -> OldNetwork | None:
        """The bundle's network, to follow on the replayed samples.

        None where there are none, or where it doesn't take and give what ``own`` does, the network
        that is trained: its samples' labels are learnt then.
        """
        old = start.network()
        alike = (
            old.input_height == own.input_height
            and old.in_channels == own.in_channels
            and all(old.time_steps(px) == own.time_steps(px) for px in start.picture.widths)
            and start.charset.text_order == charset.text_order
            and set(start.charset.characters) <= set(charset.characters)
        )
        if not (self.sources and alike):
            return None
        return OldNetwork(deepcopy(old), start.charset, charset, self.id_prefixes)


def old_characters(settings: TrainSettings, old: Charset) -> str:
    """Characters of the bundle that training begins with which the run's charset may have."""
    if settings.charset == "auto":
        return old.characters
    allowed = Charset.named(settings.charset).characters
    return "".join(c for c in old.characters if c in allowed)


def is_wanted(settings: TrainSettings, old: Charset | None, written: Iterable[str]) -> bool:
    """Whether the data, whose texts have ``written``, are of other characters than the old ones."""
    if not settings.replay or not settings.data or old is None:
        return False
    characters = {c for text in written for c in normalise(text)}
    if settings.charset != "auto":
        characters &= set(Charset.named(settings.charset).characters)
    return characters != set(old_characters(settings, old))


def replay_beside(settings: TrainSettings, old: Charset, rows: int) -> Replay:
    """Words of the old characters beside ``rows`` samples an epoch, rendered unless they are there.

    Where no font here has the characters, nothing is replayed, and that is said.
    """
    characters = old_characters(settings, old)
    an_epoch = max(1, round(rows * settings.replay / (1 - settings.replay)))
    try:
        words = _words(characters, settings.seed + _SEED)
    except DataError as error:
        print(
            f"note: nothing of what the bundle can read already is replayed: {error}. What it "
            "forgets isn't measured either, unless --kept names sets; --replay 0 turns this "
            "note off",
            flush=True,
        )
        return Replay()
    shares = {"words": 1 - LINES_SHARE, "lines": LINES_SHARE} if _has_lines(words) else {"words": 1}
    home = storage.join(storage.absolute(settings.storage_path), DATA_FOLDER)
    sources, kept, digests, prefixes = [], [], [], []
    for name, share in shares.items():
        each = max(1, round(an_epoch * share))
        train, held_out = _configs(words, name == "lines", each, settings.epochs, share)
        key = key_of(train, held_out)
        folder = storage.join(home, f"{REPLAYED}-{name}-{key}")
        source, manifest = flow.load_source(_rendered(storage.join(folder, "train"), train))
        sources.append(replace(source, rows_an_epoch=each))
        digests.append(manifest.digest)
        prefixes.append(id_prefix(train))
        kept.append(_rendered(storage.join(folder, f"kept-{name}"), held_out))
    return Replay(
        sources=tuple(sources),
        kept=tuple(kept),
        characters=characters,
        digests=tuple(digests),
        id_prefixes=tuple(prefixes),
    )


def _words(characters: str, seed: int) -> RenderConfig:
    """The first kind of texts that these characters and the fonts of this machine give.

    Raises:
        DataError: when none does: why the last one doesn't.
    """
    english = RenderConfig(
        count=1,
        seed=seed,
        content="english",
        charset=characters,
        style=FULL,
        max_length=WORD_LENGTH,
    )
    codes = RenderConfig(count=1, seed=seed, charset=characters, style=FULL)
    refusal = DataError("there are no characters")
    for config in (english, replace(english, fonts="all"), codes, replace(codes, fonts="all")):
        try:
            check_inputs(config)
            chosen_fonts(config, system=True)
        except (DataError, ValueError) as error:
            refusal = DataError(str(error))
        else:
            return config
    raise refusal


def _has_lines(words: RenderConfig) -> bool:
    return words.content == "english" and " " in words.charset


def _configs(
    words: RenderConfig, lines: bool, an_epoch: int, epochs: int, share: float
) -> tuple[RenderConfig, RenderConfig]:
    """What is trained on, and the like of it in other texts."""
    if lines:
        words = replace(words, lines=True, max_length=LINE_LENGTH)
    train = replace(
        words,
        count=max(1, min(round(MOST_RENDERED * share), an_epoch * epochs)),
        part_rows=max(_LEAST_PART, an_epoch // _PARTS_AN_EPOCH) if an_epoch < 2048 else 0,
    )
    kept = max(1, round(KEPT_SAMPLES * share))
    return train, replace(words, count=kept, split="held_out", fonts="all", seed=words.seed + 1)


def _rendered(uri: str, config: RenderConfig) -> str:
    """Address of the set."""
    if not storage.exists(storage.join(uri, MANIFEST_NAME)):
        print(f"rendering {config.count:,} pictures to {uri}", flush=True)
    render_set(uri, config, ProgressLines("rendering"))
    return uri
